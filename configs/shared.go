package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Shared is what all gateways of a fleet must have alike: for each such key that does not have its default a hash of
// its value, 16 hex digits. A replica's keys stand below its name (replicas.westus.bias), and its name alone says that
// the file has it; a webhook is one key. What has its default is left out, so that a release which has a key more
// differs from its neighbour only where a file gives it. Of a secret nothing is hashed but that there is one. A replica
// that leaves is not the file's any more.
func (c *Config) Shared() map[string]string {
	out, rest := map[string]string{}, *c
	for _, r := range c.Replicas {
		if r.State != StateLeaving {
			shareReplica(out, r)
		}
	}
	for _, w := range c.Webhooks {
		share(out, below("webhooks", w.Name), reflect.ValueOf(w.Masked()), reflect.Value{})
	}
	rest.Replicas, rest.Webhooks = nil, nil
	shareSection(out, "", "", reflect.ValueOf(rest), reflect.ValueOf(*defaults("")))
	return out
}

// verdict is whether a key, with all that is below it, must be alike. Of those that need not be, why says the reason.
type verdict struct {
	alike bool
	why   string
}

func alike(why string) verdict { return verdict{true, why} }
func own(why string) verdict   { return verdict{false, why} }

// verdicts are by key, as in rules. A key whose verdict stands here has it for all below.
var verdicts = map[string]verdict{
	"hostname":        alike("it is what clients ask for"),
	"dns.listen":      own("an address of the machine"),
	"dns.nameservers": alike("whoever is asked names the same nameservers"),
	"dns.ttl":         alike("a gateway that stops waits for what the others have said"),
	"here":            own("it says which gateway this is"),

	"proxy.listen":              own("an address of the machine"),
	"proxy.tls":                 own("files of the machine, renewed one by one"),
	"proxy.trusted_proxies":     own("the balancer of a region stands before that region alone"),
	"proxy.paths":               alike("a client that comes by another gateway finds the same"),
	"proxy.limits.manifest":     alike("what one gateway takes the next must be able to copy"),
	"proxy.limits.first_byte":   own("it follows the ways from one place"),
	"proxy.limits.lists":        own("it follows the ways from one place"),
	"proxy.limits.resume":       own("it follows the ways from one place"),
	"proxy.limits.silence":      own("it bounds what the clients of one place hold open"),
	"proxy.limits.client_share": own("it follows the machine and what stands before it"),
	"proxy.limits.hashing":      own("it follows the machine"),
	"proxy.access_log":          own("a file of the machine"),

	"geo.database": own("a file of the machine; releases of it come to one after the other"),
	"geo.networks": alike("the same client is sent to the same place"),
	"lease":        alike("a lease ends for all at one time"),
	"health":       alike("the majority's word on what is up is of one measure"),
	"state":        own("a folder of the machine"),

	"replicas[].name":               alike("who lacks one can give it no lease"),
	"replicas[].place":              alike("the order of replicas follows it"),
	"replicas[].addresses":          alike("DNS answers with them"),
	"replicas[].upstream":           alike("it is which registry that is"),
	"replicas[].home":               alike("there is one"),
	"replicas[].state":              alike("drained by some only, it is not drained"),
	"replicas[].write":              alike("all send writes to the same"),
	"replicas[].storage":            alike("it is which content that is"),
	"replicas[].host":               alike("it is which registry that is, where several share an address"),
	"replicas[].bias":               alike("the order of replicas follows it"),
	"replicas[].ca":                 own("files of the machine, renewed one by one"),
	"replicas[].credentials":        own("a file of the machine; each gateway may have a login of its own"),
	"replicas[].client_certificate": own("a file of the machine; each gateway may have a certificate of its own"),
	"replicas[].client_key":         own("a file of the machine; each gateway may have a certificate of its own"),

	"cluster": own("it says which gateway this is, and whom it looks for; a member with another key is told by that"),

	"replication.bandwidth":   own("it follows the way from one place"),
	"replication.concurrency": own("it follows the machine"),
	"replication.filters":     alike("what one leaves out the next would copy"),
	"replication.unrecorded":  alike("a push is refused by all or by none"),

	"webhooks":         alike("any gateway may be the one that tells"),
	"webhooks_private": alike("any gateway may be the one that tells"),
	"webhooks_ca":      own("files of the machine, renewed one by one"),

	"settings": alike("what commands may change is the same everywhere"),

	"admin": own("an address of the machine"),
}

// verdictOn is that of a key, or of what it is below.
func verdictOn(key string) (v verdict, ok bool) {
	for {
		if v, ok = verdicts[key]; ok {
			return v, true
		}
		end := strings.LastIndexByte(key, '.')
		if end < 0 {
			return verdict{}, false
		}
		key = key[:end]
	}
}

// shareSection takes from a section what must be alike and is not as it begins.
func shareSection(out map[string]string, path, key string, section, begins reflect.Value) {
	of := section.Type()
	for i := range of.NumField() {
		name := of.Field(i).Tag.Get("yaml")
		if name == "" {
			continue
		}
		path, key, value, begin := below(path, name), below(key, name), section.Field(i), begins.Field(i)
		v, decided := verdictOn(key)
		switch {
		case isSection(value.Type()) && (v.alike || !decided):
			shareSection(out, path, key, value, begin)
		case v.alike:
			share(out, path, value, begin)
		}
	}
}

func shareReplica(out map[string]string, r Replica) {
	path := below("replicas", r.Name)
	share(out, path, reflect.ValueOf(r.Name), reflect.ValueOf(""))
	r.Name = ""
	shareSection(out, path, "replicas[]", reflect.ValueOf(r), reflect.ValueOf(newReplica()))
}

// isSection is of structs whose fields are keys of the file.
func isSection(of reflect.Type) bool {
	return of.Kind() == reflect.Struct && slices.ContainsFunc(reflect.VisibleFields(of),
		func(f reflect.StructField) bool { return f.Tag.Get("yaml") != "" })
}

// share takes the hash of a value, unless that is as it begins.
func share(out map[string]string, path string, value, begin reflect.Value) {
	if text := canonical(value); text != canonical(begin) {
		sum := sha256.Sum256([]byte(path + "\x00" + text))
		out[path] = hex.EncodeToString(sum[:8])
	}
}

// canonical is a text of a value which depends on nothing but what a file can say. What a struct's fields do not say is
// left out, so that a field more changes it only where a file gives one.
func canonical(v reflect.Value) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return ""
	}
	if isText(v) {
		return fmt.Sprintf("%q", fmt.Sprint(v.Interface()))
	}
	var parts []string
	switch v.Kind() {
	case reflect.Pointer:
		return canonical(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, canonical(v.Index(i)))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			parts = append(parts, canonical(k)+":"+canonical(v.MapIndex(k)))
		}
		slices.Sort(parts)
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				parts = append(parts, v.Type().Field(i).Name+":"+canonical(v.Field(i)))
			}
		}
	default:
		return fmt.Sprintf("%q", fmt.Sprint(v.Interface()))
	}
	if len(parts) == 0 {
		return ""
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// isText is of values that have one text, whatever they are made of: addresses, prefixes, URLs, durations.
func isText(v reflect.Value) bool {
	_, text := v.Interface().(fmt.Stringer)
	return text
}
