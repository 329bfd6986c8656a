package configs

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/fairlead-gateway/fairlead/geo"
)

// place takes the name of a place or {lat, lon}.
func place(d *decoder, path string, n *yaml.Node, to any) {
	into := to.(*Place)
	switch {
	case n.Kind == yaml.MappingNode:
		var at struct {
			Lat  float64 `yaml:"lat"`
			Lon  float64 `yaml:"lon"`
			Name string  `yaml:"name"`
		}
		d.section(path, "place", n, reflect.ValueOf(&at).Elem())
		into.Point = geo.Point{Lat: at.Lat, Lon: at.Lon}
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		found, ok := geo.LookupPlace(n.Value)
		if !ok {
			d.refuse(path, fmt.Sprintf(rulePlace, strings.Join(d.closestPlaces(n.Value), ", ")))
			return
		}
		*into = Place{Name: found.Name, Country: found.Country, Point: found.Point}
	default:
		d.refuse(path, fmt.Sprintf(rulePlaceKind, describe(n)))
	}
}

// closestPlaces compares name with every place, and stops when nobody would be shown the answer.
func (d *decoder) closestPlaces(name string) []string {
	if len(d.problems) == maxProblems {
		return nil
	}
	return geo.ClosestPlaces(name, 3)
}
