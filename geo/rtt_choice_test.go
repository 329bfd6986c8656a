package geo

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// tally counts how often a way to choose agrees with the published times.
type tally struct {
	choices, agreed int
	lost            float64 // ms more than the best, summed
}

func (c *tally) add(chosen, best float64) {
	c.choices++
	if chosen == best {
		c.agreed++
	}
	c.lost += chosen - best
}

func (c *tally) percent() float64 { return 100 * float64(c.agreed) / float64(c.choices) }
func (c *tally) loss() float64    { return c.lost / float64(c.choices) }

// What the model is for: of four replicas, choose the one that the published
// times say is best. The client's own region is left out of the model, as no
// real client stands in an anchor.
func TestChoiceOfFourReplicas(t *testing.T) {
	points, times := publishedTimes(t)
	random := rand.New(rand.NewPCG(1, 2))
	var model, circle tally
	for client := range points {
		others, among := without(points, times, client)
		m := newModel(others, among)
		for range 200 {
			four := fourOthers(random, len(points), client)
			published := func(replica int) float64 { return times[client][replica] }
			best := published(nearestBy(four, published))
			model.add(published(nearestBy(four, func(replica int) float64 {
				return m.rtt(points[client], points[replica])
			})), best)
			circle.add(published(nearestBy(four, func(replica int) float64 {
				return Distance(points[client], points[replica])
			})), best)
		}
	}
	t.Logf("model:        %.1f %% agree, %.2f ms lost", model.percent(), model.loss())
	t.Logf("great circle: %.1f %% agree, %.2f ms lost", circle.percent(), circle.loss())
	if model.percent() < 90 || model.loss() > 2 {
		t.Errorf("the model agrees in %.1f %% and loses %.2f ms", model.percent(), model.loss())
	}
	if model.percent() < circle.percent()+4 || model.loss() > circle.loss()/3 {
		t.Errorf("the model gains too little over great circle")
	}
}

func publishedTimes(t *testing.T) ([]Point, [][]float64) {
	t.Helper()
	heading, _, _ := strings.Cut(rttCSV, "\n")
	var points []Point
	var times [][]float64
	for i, name := range strings.Split(heading, ",") {
		row, err := parseTimes(rows(rttCSV)[i])
		if err != nil {
			t.Fatal(err)
		}
		points, times = append(points, point(t, "azure/"+name)), append(times, row)
	}
	return points, times
}

// without leaves region k out of points and times.
func without(points []Point, times [][]float64, k int) ([]Point, [][]float64) {
	var p []Point
	var rows [][]float64
	for i := range points {
		if i == k {
			continue
		}
		var row []float64
		for j, ms := range times[i] {
			if j != k {
				row = append(row, ms)
			}
		}
		p, rows = append(p, points[i]), append(rows, row)
	}
	return p, rows
}

func fourOthers(random *rand.Rand, n, client int) []int {
	var four []int
	for _, i := range random.Perm(n)[:5] {
		if i != client && len(four) < 4 {
			four = append(four, i)
		}
	}
	return four
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
