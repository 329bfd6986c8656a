package configs

import (
	"reflect"
	"strings"
	"testing"
)

// TestRulesAreOfKeys: a row of the table whose key no field of Config has would hold nothing.
func TestRulesAreOfKeys(t *testing.T) {
	keys := map[string]bool{"place.lat": true, "place.lon": true, "place.name": true}
	collectKeys(keys, "", reflect.TypeFor[Config]())
	for key := range rules {
		if !keys[key] {
			t.Errorf("there is no key %s", key)
		}
	}
	if len(keys) < len(rules) {
		t.Errorf("%d keys and %d rules", len(keys), len(rules))
	}
}

func collectKeys(keys map[string]bool, key string, of reflect.Type) {
	keys[key] = true
	switch of.Kind() {
	case reflect.Pointer:
		collectKeys(keys, key, of.Elem())
	case reflect.Slice:
		collectKeys(keys, key+"[]", of.Elem())
	case reflect.Struct:
		for i := range of.NumField() {
			if name := of.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
				collectKeys(keys, strings.TrimPrefix(key+"."+name, "."), of.Field(i).Type)
			}
		}
	}
}
