package geo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// regrets are what choices cost: the chosen replica's published time less that
// of the best, in ms.
type regrets []float64

func (r regrets) percentBest() float64 {
	best := 0
	for _, ms := range r {
		if ms == 0 {
			best++
		}
	}
	return 100 * float64(best) / float64(len(r))
}

func (r regrets) mean() float64 {
	var sum float64
	for _, ms := range r {
		sum += ms
	}
	return sum / float64(len(r))
}

func (r regrets) percentile95() float64 {
	sorted := slices.Sorted(slices.Values(r))
	return sorted[len(sorted)*95/100]
}

func (r regrets) String() string {
	return fmt.Sprintf("%.1f %% | %.2f ms | %.0f ms", r.percentBest(), r.mean(), r.percentile95())
}

// What the model is for: of some replicas, choose the one that the published
// times say is best. It knows neither the client's region nor the replicas', nor
// any within km of one of them, so that no pair is judged by its own time.
func TestChoice(t *testing.T) {
	choices := 20 // of each client
	if given := os.Getenv("FAIRLEAD_CHOICES"); given != "" {
		var err error
		if choices, err = strconv.Atoi(given); err != nil || choices < 1 {
			t.Fatalf("FAIRLEAD_CHOICES: %q is not a number of choices", given)
		}
	}
	times, distances := publishedTimes(t), anchorDistances()
	fmt.Println("| nothing known within | replicas | expected time: the best | mean loss | 95 % | great circle: the best | mean loss | 95 % |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, tt := range []struct {
		km       float64 // 0: regions at the same point, of which there are two
		replicas int
		ahead    float64 // at least so many points more than great circle
		loss     float64 // less than so much of great circle's
	}{
		{km: 0, replicas: 2, ahead: 4, loss: 0.5},
		{km: 0, replicas: 4, ahead: 4, loss: 0.5},
		{km: 0, replicas: 8, ahead: -1, loss: 1},
		{km: 500, replicas: 2, ahead: 4, loss: 0.5},
		{km: 500, replicas: 4, ahead: 2, loss: 0.75},
		{km: 500, replicas: 8, ahead: -1, loss: 1},
	} {
		random := rand.New(rand.NewPCG(1, 2)) // the same choices for each km
		var model, circle regrets
		for client, here := range measured.anchors {
			published := func(replica int) float64 { return times[client][replica] }
			for range choices {
				replicas := others(random, len(times), client, tt.replicas)
				m := without(distances, append(replicas, client), tt.km)
				if known := len(m.anchors); known >= len(times)-tt.replicas {
					t.Fatalf("the model still knows %d of %d regions", known, len(times))
				}
				best := published(nearestBy(replicas, published))
				model = append(model, published(nearestBy(replicas, func(replica int) float64 {
					return m.rtt(here.point, measured.anchors[replica].point)
				}))-best)
				circle = append(circle, published(nearestBy(replicas, func(replica int) float64 {
					return distances[client][replica]
				}))-best)
			}
		}
		fmt.Printf("| %.0f km | %d | %v | %v |\n", tt.km, tt.replicas, model, circle)
		if got, other := model.percentBest(), circle.percentBest(); got < other+tt.ahead {
			t.Errorf("%v km, %d replicas: %.1f %% chosen well, great circle %.1f %%", tt.km, tt.replicas, got, other)
		}
		if got, other := model.mean(), circle.mean(); got >= tt.loss*other {
			t.Errorf("%v km, %d replicas: %.2f ms lost, great circle %.2f ms", tt.km, tt.replicas, got, other)
		}
	}
}

func publishedTimes(t *testing.T) [][]float64 {
	t.Helper()
	var times [][]float64
	for _, line := range rows(rttCSV) {
		row, err := parseTimes(line)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, row)
	}
	return times
}

func anchorDistances() [][]float64 {
	var table [][]float64
	for _, from := range measured.anchors {
		var row []float64
		for _, to := range measured.anchors {
			row = append(row, Distance(from.point, to.point))
		}
		table = append(table, row)
	}
	return table
}

// without is the model that knows no region within km of those left out. What
// bends the line between two regions is of their own times only, so a row and a
// column go with each.
func without(distances [][]float64, left []int, km float64) *model {
	var kept []int
	for i, row := range distances {
		if !slices.ContainsFunc(left, func(l int) bool { return row[l] <= km }) {
			kept = append(kept, i)
		}
	}
	m := &model{}
	for _, i := range kept {
		m.anchors = append(m.anchors, measured.anchors[i])
		var row []float64
		for _, j := range kept {
			row = append(row, measured.bend[i][j])
		}
		m.bend = append(m.bend, row)
	}
	return m
}

// others draws k of n regions, the client's not among them.
func others(random *rand.Rand, n, client, k int) []int {
	drawn := slices.DeleteFunc(random.Perm(n), func(i int) bool { return i == client })
	return drawn[:k:k] // an append must not write into the rest
}

func nearestBy(replicas []int, cost func(int) float64) int {
	best, least := -1, math.Inf(1)
	for _, r := range replicas {
		if c := cost(r); c < least {
			best, least = r, c
		}
	}
	return best
}
