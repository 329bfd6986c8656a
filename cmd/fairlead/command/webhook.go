package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// webhookFlags are az acr webhook's, and --secret.
type webhookFlags struct {
	asking
	name, uri, location, scope, status, secret string
	actions, headers                           []string
}

func webhookCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "who a running gateway tells of pushes and deletions; as az acr webhook"}
	var f webhookFlags
	f.flags(cmd.PersistentFlags())
	cmd.AddCommand(
		f.command("create", "make a webhook", f.create, f.named, f.settings, func(c *cobra.Command) {
			c.Flags().StringVarP(&f.location, "location", "l", "", "a replica: only what happens there (default all)")
			required(c, "uri", "actions")
		}),
		f.command("list", "all webhooks", f.list),
		f.command("show", "one webhook", f.show, f.named),
		f.command("update", "change a webhook; what is not named stays", f.update, f.named, f.settings),
		f.command("delete", "remove a webhook, with what is queued for it", f.delete, f.named),
		f.command("ping", "send a ping to a webhook", f.ping, f.named),
		f.command("list-events", "what was sent to a webhook, and what is yet to be", f.listEvents, f.named),
	)
	return cmd
}

func (f *webhookFlags) command(use, short string, run func(*cobra.Command) error,
	flags ...func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return run(cmd)
		},
	}
	for _, add := range flags {
		add(cmd)
	}
	acceptIdle(cmd, "registry", "resource-group", "subscription")
	return cmd
}

func required(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // only for a flag that is not there
		}
	}
}

func (f *webhookFlags) named(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.name, "name", "n", "", "its name: 5 to 50 letters and digits (required)")
	required(cmd, "name")
}

func (f *webhookFlags) settings(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.uri, "uri", "", "where to send")
	cmd.Flags().StringSliceVar(&f.actions, "actions", nil,
		"of push, delete, chart_push, chart_delete and replicated, separated by spaces")
	cmd.Flags().StringVar(&f.scope, "scope", "",
		"repository:tag, repository:*, or repository for its tag latest (default all)")
	cmd.Flags().StringArrayVar(&f.headers, "headers", nil,
		`to send along, as KEY[=VALUE], separated by spaces; "" for none`)
	cmd.Flags().StringVar(&f.status, "status", string(subscription.Enabled), "enabled or disabled")
	cmd.Flags().StringVar(&f.secret, "secret", "", "16 to 256 bytes to sign with; none: nothing is signed")
}

// Spread repeats a flag that takes several values, as az has it, before each of them: --actions push delete.
func Spread(args []string) (out []string) {
	if len(args) == 0 || args[0] != "webhook" && args[0] != "replication" {
		return args
	}
	flag, waits := "", false
	for _, a := range args {
		name, _, given := strings.Cut(a, "=")
		switch {
		case !strings.HasPrefix(a, "-"):
			if flag != "" && !waits {
				out = append(out, flag)
			}
			waits = false
		case name == "--actions" || name == "--headers" || name == "--tags":
			flag, waits = name, !given
		default:
			flag = ""
		}
		out = append(out, a)
	}
	return out
}

func (f *webhookFlags) create(cmd *cobra.Command) error {
	s := subscription.Subscription{
		Name: f.name, Location: f.location, ServiceURI: f.uri, CustomHeaders: headersOf(f.headers),
		Actions: actionsOf(f.actions),
		Scope:   f.scope, Status: subscription.Status(f.status), Secret: f.secret,
	}
	return f.asked(cmd, http.MethodPost, "", s, &s, func(w io.Writer) { webhookTable(w, s) })
}

func (f *webhookFlags) update(cmd *cobra.Command) error {
	c, changed := webhook.Change{}, cmd.Flags().Changed
	for flag, to := range map[string]**string{"uri": &c.ServiceURI, "scope": &c.Scope, "secret": &c.Secret} {
		if changed(flag) {
			value := cmd.Flag(flag).Value.String()
			*to = &value
		}
	}
	if changed("status") {
		status := subscription.Status(f.status)
		c.Status = &status
	}
	if changed("actions") {
		c.Actions = actionsOf(f.actions)
	}
	if changed("headers") {
		c.CustomHeaders = headersOf(f.headers)
	}
	var s subscription.Subscription
	return f.asked(cmd, http.MethodPatch, f.path(), c, &s, func(w io.Writer) { webhookTable(w, s) })
}

func (f *webhookFlags) list(cmd *cobra.Command) error {
	var list []subscription.Subscription
	return f.asked(cmd, http.MethodGet, "", nil, &list, func(w io.Writer) { webhookTable(w, list...) })
}

func (f *webhookFlags) show(cmd *cobra.Command) error {
	var s subscription.Subscription
	return f.asked(cmd, http.MethodGet, f.path(), nil, &s, func(w io.Writer) { webhookTable(w, s) })
}

func (f *webhookFlags) delete(cmd *cobra.Command) error {
	return callAdmin(cmd.Context(), f.at, http.MethodDelete, "/webhooks"+f.path(), nil, nil)
}

func (f *webhookFlags) ping(cmd *cobra.Command) error {
	var p admin.Pinged
	return f.asked(cmd, http.MethodPost, f.path()+"/ping", nil, &p,
		func(w io.Writer) { fmt.Fprintf(w, "ID\n%s\n", p.ID) })
}

func (f *webhookFlags) listEvents(cmd *cobra.Command) error {
	var list []webhook.Delivery
	return f.asked(cmd, http.MethodGet, f.path()+"/events", nil, &list, func(w io.Writer) { eventTable(w, list) })
}

func (f *webhookFlags) path() string { return "/" + url.PathEscape(f.name) }

// asked asks, and prints the answer.
func (f *webhookFlags) asked(cmd *cobra.Command, method, path string, body, answer any, table func(io.Writer)) error {
	if err := callAdmin(cmd.Context(), f.at, method, "/webhooks"+path, body, answer); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), answer, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		table(t)
		return t.Flush()
	})
}

func webhookTable(w io.Writer, list ...subscription.Subscription) {
	fmt.Fprintln(w, "NAME\tLOCATION\tACTIONS\tSCOPE\tSTATUS")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, cmp.Or(s.Location, "-"), joined(s.Actions), cmp.Or(s.Scope, "-"),
			s.Status)
	}
}

func joined(actions []subscription.Action) string {
	var words []string
	for _, a := range actions {
		words = append(words, string(a))
	}
	return strings.Join(words, " ")
}

func eventTable(w io.Writer, list []webhook.Delivery) {
	fmt.Fprintln(w, "ID\tACTION\tIMAGE\tHTTP STATUS\tTIMESTAMP")
	for _, d := range list {
		var p struct {
			Action    string
			Timestamp time.Time
			Target    struct{ Repository, Tag string }
		}
		_ = json.Unmarshal(d.Request.Content, &p) // it is ours; else nothing is shown of it
		image, status := p.Target.Repository, "-"
		if p.Target.Tag != "" {
			image += ":" + p.Target.Tag
		}
		if r := d.Response; r != nil {
			status = strings.TrimSpace(r.StatusCode + " " + r.ReasonPhrase)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, p.Action, cmp.Or(image, "-"), status,
			p.Timestamp.Format(time.RFC3339))
	}
}

func actionsOf(words []string) (actions []subscription.Action) {
	for _, w := range words {
		for word := range strings.FieldsSeq(w) {
			actions = append(actions, subscription.Action(word))
		}
	}
	return actions
}

// headersOf is empty, and not nil, for no headers: they replace those that were there.
func headersOf(pairs []string) map[string]string {
	headers := map[string]string{}
	for _, pair := range slices.DeleteFunc(slices.Clone(pairs), func(s string) bool { return s == "" }) {
		name, value, _ := strings.Cut(pair, "=")
		headers[name] = value
	}
	return headers
}
