package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fairlead-gateway/fairlead/admin"
)

// regionalFlags are az acr replication's, and ours.
type regionalFlags struct {
	asking
	name, location, endpoint, routing string
	tags                              []string

	addresses       []string
	upstream, state string
	bias            float64
	write           bool
	home, force     bool
	yes             bool
}

// regionalCommands make, list, change and delete the fleet's replicas.
func regionalCommands() []*cobra.Command {
	var f regionalFlags
	return []*cobra.Command{
		f.command("list", "all replicas", f.list, cobra.NoArgs),
		f.command("show [NAME]", "all that is known of one replica", f.show, cobra.MaximumNArgs(1), f.named),
		f.command("create [NAME]", "make a replica that no file declares", f.create, cobra.MaximumNArgs(1), f.named,
			f.placed, f.changes),
		f.command("update [NAME]", "change a replica; what is not named stays", f.update, cobra.MaximumNArgs(1), f.named,
			f.changes),
		f.command("delete [NAME]", "have a replica leave: it goes once nothing is left that only it has", f.delete,
			cobra.MaximumNArgs(1), f.named, func(c *cobra.Command) {
				c.Flags().BoolVar(&f.force, "force", false, "do not wait: what only it has is lost to the fleet")
				c.Flags().BoolVarP(&f.yes, "yes", "y", false, "nobody is asked anyway")
			}),
	}
}

func (f *regionalFlags) command(use, short string, run func(context.Context, io.Writer, *cobra.Command) error,
	args cobra.PositionalArgs, flags ...func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage(err)
			}
			if len(args) == 1 {
				if f.name != "" && f.name != args[0] {
					return usage(fmt.Errorf("--name %s and %s: say it once", f.name, args[0]))
				}
				f.name = args[0]
			}
			err := run(cmd.Context(), cmd.OutOrStdout(), cmd)
			if said := (*problemError)(nil); errors.As(err, &said) && said.status == http.StatusNotFound {
				return &exitError{err, codeNotFound}
			}
			return err
		},
	}
	usageIsTwo(cmd)
	f.flags(cmd.Flags())
	for _, add := range flags {
		add(cmd)
	}
	acceptIdle(cmd, "registry", "resource-group", "subscription")
	return cmd
}

func (f *regionalFlags) named(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.name, "name", "n", "", "its name (of one that is made: default its location)")
}

func (f *regionalFlags) placed(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.location, "location", "l", "", "its place, such as westus or azure/westus (needed)")
}

func (f *regionalFlags) changes(cmd *cobra.Command) {
	acceptIdle(cmd, "zone-redundancy")
	flags := cmd.Flags()
	flags.StringVar(&f.endpoint, "region-endpoint-enabled", "", "true or false: in DNS, and new pushes begin there")
	flags.StringVar(&f.routing, "global-endpoint-routing", "", "the same")
	flags.StringArrayVar(&f.tags, "tags", nil, `KEY=VALUE, separated by spaces; "" for none`)
	flags.StringArrayVar(&f.addresses, "address", nil, "what DNS answers there; may be repeated")
	flags.StringVar(&f.upstream, "upstream", "", "its registry, at a host that the file's admin.upstreams allows")
	flags.StringVar(&f.state, "state", "", "online, drain or offline")
	flags.Float64Var(&f.bias, "bias", 0, "milliseconds added to its expected round-trip time")
	flags.BoolVar(&f.write, "write", true, "false: a read-only replica")
	flags.BoolVar(&f.home, "home", false, "have it be the home replica")
}

// change is what the flags say.
func (f *regionalFlags) change(cmd *cobra.Command) (c admin.RegionalChange, err error) {
	given := cmd.Flags().Changed
	if f.endpoint != "" && f.routing != "" && f.endpoint != f.routing {
		return c, usagef("--region-endpoint-enabled %s and --global-endpoint-routing %s: they mean the same", f.endpoint,
			f.routing)
	}
	if text := cmp.Or(f.endpoint, f.routing); text != "" {
		enabled, err := strconv.ParseBool(text)
		if err != nil {
			return c, usagef("--region-endpoint-enabled: true or false, not %q", text)
		}
		c.Properties.RegionEndpointEnabled = &enabled
	}
	if given("tags") {
		c.Tags = map[string]string{}
		for _, tag := range f.tags {
			if key, value, _ := strings.Cut(tag, "="); key != "" {
				c.Tags[key] = value
			}
		}
	}
	c.Fairlead.Addresses = f.addresses
	for _, of := range []struct {
		flag string
		set  func()
	}{
		{"upstream", func() { c.Fairlead.Upstream = &f.upstream }},
		{"state", func() { c.Fairlead.State = &f.state }},
		{"bias", func() { c.Fairlead.Bias = &f.bias }},
		{"write", func() { c.Fairlead.Write = &f.write }},
		{"home", func() { c.Fairlead.Home = &f.home }},
		{"location", func() { c.Location = &f.location }},
	} {
		if given(of.flag) {
			of.set()
		}
	}
	return c, nil
}

// codeNotFound is az's for what is not there.
const codeNotFound = 3

var errNowhere = usage(errors.New("where? say --location"))

var errUnnamed = usage(errors.New("which replica? say its name"))

func (f *regionalFlags) at() (string, error) {
	if f.name == "" {
		return "", errUnnamed
	}
	return "/v1/replications/" + url.PathEscape(f.name), nil
}

func (f *regionalFlags) list(ctx context.Context, w io.Writer, _ *cobra.Command) error {
	var all admin.Regionals
	if err := askAdmin(ctx, f.asking.at, "/v1/replications", &all); err != nil {
		return err
	}
	return f.print(w, all.Value, func(w io.Writer) error { return regionalTable(w, all.Value...) })
}

func (f *regionalFlags) create(ctx context.Context, w io.Writer, cmd *cobra.Command) error {
	if f.location == "" {
		return errNowhere
	}
	f.name = cmp.Or(f.name, nameOfLocation(f.location))
	return f.send(ctx, w, cmd, http.MethodPut)
}

// nameOfLocation is westus of azure/westus, and of "West US".
func nameOfLocation(location string) string {
	_, name, found := strings.Cut(location, "/")
	if !found {
		name = location
	}
	return strings.ToLower(strings.ReplaceAll(name, " ", ""))
}

func (f *regionalFlags) update(ctx context.Context, w io.Writer, cmd *cobra.Command) error {
	return f.send(ctx, w, cmd, http.MethodPatch)
}

func (f *regionalFlags) send(ctx context.Context, w io.Writer, cmd *cobra.Command, method string) error {
	path, err := f.at()
	if err != nil {
		return err
	}
	change, err := f.change(cmd)
	if err != nil {
		return err
	}
	var now admin.Regional
	if err := callAdmin(ctx, f.asking.at, method, path, change, &now); err != nil {
		return err
	}
	return f.print(w, now, func(w io.Writer) error { return regionalTable(w, now) })
}

func (f *regionalFlags) delete(ctx context.Context, w io.Writer, _ *cobra.Command) error {
	path, err := f.at()
	if err != nil {
		return err
	}
	if f.force {
		if err := callAdmin(ctx, f.asking.at, http.MethodDelete, path+"?force=true", nil, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s has left\n", f.name)
		return err
	}
	var now admin.Regional
	if err := callAdmin(ctx, f.asking.at, http.MethodDelete, path, nil, &now); err != nil {
		return err
	}
	return f.print(w, now, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s leaves: %s\n", now.Name, now.Properties.Status.Message)
		return err
	})
}

// regionalTable has the columns that az prints.
func regionalTable(w io.Writer, all ...admin.Regional) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tLOCATION\tPROVISIONING STATE\tSTATUS\tREGION ENDPOINT ENABLED")
	for _, r := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%t\n", r.Name, cmp.Or(r.Location, r.Fairlead.Place), r.Properties.ProvisioningState,
			r.Properties.Status.DisplayStatus, r.Properties.RegionEndpointEnabled)
	}
	return t.Flush()
}
