package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// Hidden stands in the place of a value that may be a secret.
const Hidden = "***"

// Where a value comes from that no line says.
const (
	FromDefault  = "default"
	FromFlag     = "--here"
	FromStart    = "the last start" // the file says something else, which needs a restart
	FromSettings = "settings"       // what people changed by command lies over the file
)

// Value is what one key is set to.
type Value struct {
	Field string `json:"field"` // such as replicas[westus].bias
	Group string `json:"group"` // what it comes and goes with: replicas[westus], or a section; "" is always there
	Text  string `json:"text"`  // the whole of it: may be a secret
	From  string `json:"from"`  // FILE:LINE, or one of the From words
}

// Shown is the value as people may see it.
func (v Value) Shown() string {
	if rules[keyOf(v.Field)].private && v.Text != "" {
		return Hidden
	}
	return v.Text
}

// Values are all keys with what they are set to, in the order of the schema. Items of a list are named by what tells
// them apart, not by their number, which changes when one is put before them.
func (c *Config) Values() []Value {
	w := walk{c: c}
	w.section("", "", "", "", reflect.ValueOf(c).Elem())
	return w.out
}

// walk goes through a configuration.
type walk struct {
	c   *Config
	out []Value
}

// section: path is where it was written, field how it is named.
func (w *walk) section(path, field, key, group string, of reflect.Value) {
	for name, value := range keysOf(of) {
		w.value(join(path, name), join(field, name), below(key, name), group, value)
	}
}

func (w *walk) value(path, field, key, group string, value reflect.Value) {
	if text, ok := textOf(key, value.Interface()); ok {
		w.out = append(w.out, Value{field, group, text, w.from(path)})
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			w.section(path, field, key, field, value.Elem())
		}
	case reflect.Struct:
		w.section(path, field, key, group, value)
	case reflect.Slice:
		for i := range value.Len() {
			named := fmt.Sprintf("%s[%s]", field, nameOf(value.Index(i), i))
			w.section(item(path, i), named, key+"[]", named, value.Index(i))
		}
	}
}

// nameOf is what tells an item of a list from others: the first key that all must differ by, else its number.
func nameOf(of reflect.Value, i int) string {
	switch named := of.Field(0).Interface().(type) {
	case string:
		if of.Type() != reflect.TypeFor[Filter]() {
			return named
		}
	case netip.Prefix:
		return named.String()
	}
	return strconv.Itoa(i)
}

// from is where the value of path was written.
func (w *walk) from(path string) string {
	if path == "here" && w.c.told {
		return FromFlag
	}
	for at := path; at != ""; at = parent(at) {
		switch of, ok := w.c.written[at]; {
		case ok && of.value == keptValue:
			return FromStart
		case ok && at == path && of.file == FromSettings:
			return FromSettings
		case ok && at == path:
			return fmt.Sprintf("%s:%d", of.file, of.line)
		}
	}
	return FromDefault
}

// textOf is a value as one writes it. A value that is made of others has no text.
func textOf(key string, value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, int, float64:
		return fmt.Sprint(v), true
	case int64:
		if key == "proxy.limits.manifest" {
			return sizeText(v), true
		}
		return fmt.Sprint(v), true
	case time.Duration:
		return brief(v), true
	case *url.URL:
		if v == nil {
			return "", true
		}
		return v.String(), true
	case netip.Prefix:
		return v.String(), true
	case Place:
		if v.Name != "" {
			return v.Name, true
		}
		return fmt.Sprintf("{lat: %v, lon: %v}", v.Point.Lat, v.Point.Lon), true
	case keyfiles.Trust:
		return strings.Join(v, ", "), true
	case map[string]string:
		if len(v) == 0 {
			return "", true
		}
		return fmt.Sprint(v), true // by name; nobody sees it
	}
	of := reflect.ValueOf(value)
	switch kind := of.Kind(); {
	case kind == reflect.String:
		return of.String(), true
	case kind == reflect.Slice && of.Type().Elem().Kind() != reflect.Struct, of.Type() == reflect.TypeFor[[]netip.Addr](),
		of.Type() == reflect.TypeFor[[]netip.Prefix]():
		items := make([]string, of.Len())
		for i := range items {
			items[i] = fmt.Sprint(of.Index(i).Interface())
		}
		return strings.Join(items, ", "), true
	}
	return "", false
}

// Change is a key whose value differs between two files.
type Change struct {
	Field   string `json:"field"` // or of something that came or went as a whole, such as replicas[westus]
	Old     string `json:"old"`   // as people may see it; of what was not there ""
	New     string `json:"new"`
	Restart bool   `json:"restart"` // it counts from the next start on
}

// String is one line.
func (c Change) String() string {
	text := fmt.Sprintf("%s: %s → %s", c.Field, quoted(c.Old), quoted(c.New))
	if c.Restart {
		text += " (needs a restart)"
	}
	return text
}

// quoted shows that a text is empty.
func quoted(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// Changes are the keys in which two files differ: in the order of the later one, then what it has no more.
func Changes(was, is *Config) []Change { return Compare(was.Values(), is.Values()) }

// Compare are the changes from some values to others.
func Compare(was, is []Value) (changes []Change) {
	before, after := index(was), index(is)
	seen := map[string]bool{}
	for _, v := range slices.Concat(is, was) {
		at := v.Field
		if v.Group != "" && (len(before.groups[v.Group]) == 0 || len(after.groups[v.Group]) == 0) {
			at = v.Group
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		c := Change{Field: at, Restart: NeedsRestart(at)}
		if at != v.Field {
			c.Old, c.New = together(before.groups[at]), together(after.groups[at])
		} else {
			one, other := before.values[at], after.values[at]
			if one.Text == other.Text {
				continue
			}
			c.Old, c.New = one.Shown(), other.Shown()
			c.Restart = c.Restart || at == "cluster.key" && begins(one.Text, other.Text)
		}
		changes = append(changes, c)
	}
	return changes
}

// indexed are values by their names.
type indexed struct {
	values map[string]Value
	groups map[string][]Value
}

func index(values []Value) indexed {
	all := indexed{map[string]Value{}, map[string][]Value{}}
	for _, v := range values {
		all.values[v.Field] = v
		if v.Group != "" {
			all.groups[v.Group] = append(all.groups[v.Group], v)
		}
	}
	return all
}

// together is what comes or goes as a whole, on one line; "" is nothing.
func together(values []Value) string {
	if len(values) == 0 {
		return ""
	}
	var parts []string
	for _, v := range values {
		if v.Text != "" && v.From != FromDefault {
			parts = append(parts, strings.TrimPrefix(v.Field, v.Group+".")+": "+v.Shown())
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Disk reports whether there is a file that may be read again.
func (c *Config) Disk() bool { return c.disk }

// Again is what a gateway that goes by c takes of next, another reading of its file: what its command line said goes
// on, as does what takes a restart. Neither is changed. An error is always Problems.
func (c *Config) Again(next *Config) (*Config, error) {
	out := c.Applicable(next)
	if out.Here == "" {
		return out, nil
	}
	if rule := replicaRule(out, out.Here); rule != "" {
		p := placeOf(next.written, "here", next.File)
		p.Value, p.Rule = out.Here, fmt.Sprintf(ruleHereGone, rule)
		return nil, Problems{p}
	}
	return out, nil
}

// ChangesBy are the changes from what a gateway goes by to another reading of its file. What its command line said is
// none of the file's.
func (c *Config) ChangesBy(next []Value) []Change {
	changes := Compare(c.Values(), next)
	if c.told {
		changes = slices.DeleteFunc(changes, func(change Change) bool { return change.Field == "here" })
	}
	return changes
}
