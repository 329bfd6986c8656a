package command

import (
	"testing"

	"github.com/fairlead-gateway/fairlead/admin"
)

func TestWant(t *testing.T) {
	replicas := []string{"westus", "eastus", "westeurope"}
	image := func(states ...admin.PlaceState) (i admin.Image) {
		for n, s := range states {
			i.Replicas = append(i.Replicas, admin.Place{Replica: replicas[n], State: s})
		}
		return i
	}
	for _, c := range []struct {
		text  string
		image admin.Image
		there int
		of    int
		met   bool
	}{
		{"all", image(admin.There, admin.There, admin.There), 3, 3, true},
		{"all", image(admin.There, admin.Pending, admin.Failed), 1, 3, false},
		{"all", image(admin.There, admin.LeftOut, admin.Offline), 1, 1, true},
		{"all", image(admin.ReadOnly, admin.LeftOut, admin.Offline), 0, 0, false},
		{"all", admin.Image{}, 0, 0, false},
		{"2", image(admin.There, admin.Pending, admin.There), 2, 2, true},
		{"2", image(admin.There, admin.There, admin.There), 2, 2, true},
		{"2", image(admin.There, admin.Pending, admin.LeftOut), 1, 2, false},
		{"eastus", image(admin.There, admin.Pending, admin.There), 0, 1, false},
		{"eastus,westus,eastus", image(admin.There, admin.There, admin.Pending), 2, 2, true},
		{"westeurope", image(admin.There, admin.There, admin.LeftOut), 0, 1, false},
	} {
		w, err := parseWant(c.text, replicas)
		if err != nil {
			t.Fatal(err)
		}
		if there, of := w.progress(c.image); there != c.there || of != c.of || w.met(c.image) != c.met {
			t.Errorf("%s of %+v: %d of %d, %v", c.text, c.image.Replicas, there, of, w.met(c.image))
		}
		c.image.Deleted = true
		if w.met(c.image) {
			t.Errorf("%s: met by what was deleted", c.text)
		}
	}
	for _, text := range []string{"", "0", "4", "-1", "nowhere", "westus,", "All"} {
		if w, err := parseWant(text, replicas); err == nil {
			t.Errorf("%q: %+v", text, w)
		}
	}
}
