package settings

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/hlc"
)

func at(n int64) hlc.Stamp { return hlc.Stamp{WallMS: n, Member: "gw1"} }

// TestStore: what is written is what is read, the earliest change first, and what is nothing any more is taken away.
func TestStore(t *testing.T) {
	kept := map[string]Value{}
	write := func(w Write, stamp hlc.Stamp) {
		if w.Text == "" {
			delete(kept, w.Key)
			return
		}
		kept[w.Key] = Value{w.Key, w.Text, stamp}
	}
	read := func() Store {
		var all []Value
		for _, v := range kept {
			all = append(all, v)
		}
		return Read(all)
	}
	want := func(what string, l configs.Layer) {
		t.Helper()
		if got := read().Layer(); !reflect.DeepEqual(got, l) {
			t.Errorf("%s: %+v, want %+v", what, got, l)
		}
	}
	want("nothing", configs.Layer{})
	drain := map[string]any{"state": "drain"}
	s, w := Read(nil).With("westus", Replica{Keys: drain}, at(2))
	write(w, at(2))
	west := configs.LayerReplica{Name: "westus", Keys: drain}
	want("a key", configs.Layer{Replicas: []configs.LayerReplica{west}})
	s, w = s.With("eastus", Replica{Made: true, Tags: map[string]string{"a": "b"}}, at(1))
	write(w, at(1))
	both := []configs.LayerReplica{{Name: "eastus", Made: true}, west}
	want("an earlier one", configs.Layer{Replicas: both})
	if got := s.Layer(); !reflect.DeepEqual(got, configs.Layer{Replicas: both}) {
		t.Errorf("it is to be %+v", got)
	}
	s, w = s.WithHome("eastus")
	write(w, at(3))
	want("home", configs.Layer{Home: "eastus", Replicas: both})
	_, w = s.With("eastus", Replica{}, at(4))
	write(w, at(4))
	_, w = s.WithHome("")
	write(w, at(5))
	want("all taken back", configs.Layer{Replicas: []configs.LayerReplica{west}})
	kept["replica/north"] = Value{"replica/north", "[1]", at(6)}
	kept["later"] = Value{"later", "{}", at(7)}
	want("what a later version has written", configs.Layer{Replicas: []configs.LayerReplica{west}})
}

// TestChangesAreBounded: the oldest are forgotten.
func TestChangesAreBounded(t *testing.T) {
	var all []Value
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range maxChanges + 2 {
		w := Change{At: when.Add(time.Duration(i) * time.Millisecond), New: fmt.Sprint(i), Through: "gw1"}.Log(0)
		all = append(all, Value{Key: w.Key, Text: w.Text})
	}
	s := Read(all)
	if len(s.Changes) != maxChanges || s.Changes[0].New != "2" ||
		s.Changes[maxChanges-1].New != fmt.Sprint(maxChanges+1) ||
		!reflect.DeepEqual(s.Old(), []string{all[0].Key, all[1].Key}) {
		t.Errorf("%d changes from %+v on, old are %q", len(s.Changes), s.Changes[0], s.Old())
	}
}
