package geo

import (
	_ "embed"
	"errors"
	"math"
	"strconv"
	"strings"
)

// The data are parsed once, before main, and never change; a test holds that
// they parse, so must cannot panic in a released binary.
var (
	//go:embed data/places.csv
	placesCSV string
	//go:embed data/countries.csv
	countriesCSV string
	//go:embed data/rtt.csv
	rttCSV string

	places    = must(parsePlaces(placesCSV))
	countries = must(parseCountries(countriesCSV))
	measured  = must(parseModel(rttCSV, places))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// rows splits a table into its lines, the heading left out.
func rows(table string) []string {
	return strings.Split(strings.TrimSpace(table), "\n")[1:]
}

// parsePlaces reads name,country,lat,lon,display_name, sorted by name. The
// display name comes last and may hold commas within quotes. encoding/csv would
// do, but brings in fmt and with it os.
func parsePlaces(table string) ([]Place, error) {
	var list []Place
	for _, row := range rows(table) {
		f := strings.SplitN(row, ",", 5)
		if len(f) != 5 {
			return nil, errors.New("places: not five fields: " + row)
		}
		at, err := parsePoint(f[2], f[3])
		if err != nil {
			return nil, errors.New("places: " + err.Error() + ": " + row)
		}
		if len(list) > 0 && list[len(list)-1].Name >= f[0] {
			return nil, errors.New("places: not sorted: " + row)
		}
		list = append(list, Place{Name: f[0], Country: f[1], Point: at, DisplayName: strings.Trim(f[4], `"`)})
	}
	return list, nil
}

// parseCountries reads code,lat,lon.
func parseCountries(table string) (map[string]Point, error) {
	points := make(map[string]Point)
	for _, row := range rows(table) {
		f := strings.Split(row, ",")
		if len(f) != 3 {
			return nil, errors.New("countries: not three fields: " + row)
		}
		at, err := parsePoint(f[1], f[2])
		if err != nil {
			return nil, errors.New("countries: " + err.Error() + ": " + row)
		}
		if _, twice := points[f[0]]; twice {
			return nil, errors.New("countries: twice: " + row)
		}
		points[f[0]] = at
	}
	return points, nil
}

func parsePoint(lat, lon string) (Point, error) {
	y, errLat := strconv.ParseFloat(lat, 64)
	x, errLon := strconv.ParseFloat(lon, 64)
	p := Point{Lat: y, Lon: x}
	if errLat != nil || errLon != nil || !p.Valid() {
		return Point{}, errors.New("not a point")
	}
	return p, nil
}

// parseModel reads the measured times: a heading with the names of Azure
// regions, and a row of times in ms for each of them in the same order.
func parseModel(table string, places []Place) (*model, error) {
	heading, _, _ := strings.Cut(table, "\n")
	names, lines := strings.Split(heading, ","), rows(table)
	if len(lines) != len(names) || len(names) < nearby {
		return nil, errors.New("rtt: not a square table")
	}
	var points []Point
	var rtt [][]float64
	for i, name := range names {
		place, ok := findPlace(places, "azure/"+name)
		if !ok {
			return nil, errors.New("rtt: no such place: " + name)
		}
		times, err := parseTimes(lines[i])
		if err != nil || len(times) != len(names) {
			return nil, errors.New("rtt: a bad row: " + name)
		}
		points, rtt = append(points, place.Point), append(rtt, times)
	}
	return newModel(points, rtt), nil
}

// parseTimes reads a row of times; one that is left empty is NaN.
func parseTimes(row string) ([]float64, error) {
	var times []float64
	for cell := range strings.SplitSeq(row, ",") {
		if cell == "" {
			times = append(times, math.NaN())
			continue
		}
		t, err := strconv.ParseUint(cell, 10, 16)
		if err != nil {
			return nil, err
		}
		times = append(times, float64(t))
	}
	return times, nil
}
