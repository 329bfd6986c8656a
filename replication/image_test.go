package replication

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// tree stores indexes of indexes, each of which names all of the level below, and is told how many manifests that is.
func (s *store) tree(tag string, wide, deep int) (root string, manifests int) {
	var level [][]byte
	for n := range wide {
		layer := strings.Repeat("x", n)
		s.image("", layer)
		level = append(level, imageOf("config of "+layer, layer))
	}
	manifests = wide
	for range deep {
		var up [][]byte
		for n := range wide {
			index := encoded(map[string]any{
				"schemaVersion": 2, "mediaType": typeIndex, "manifests": descriptors(level), "annotations": map[string]string{"n": fmt.Sprint(n)},
			})
			s.manifest(sum(index), index)
			up = append(up, index)
		}
		level, manifests = up, manifests+wide
	}
	index := encoded(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": descriptors(level)})
	s.manifest(tag, index)
	return sum(index), manifests + 1
}

func descriptors(contents [][]byte) (list []any) {
	for _, c := range contents {
		mediaType := typeImage
		if strings.Contains(string(c), `"manifests"`) {
			mediaType = typeIndex
		}
		list = append(list, described(mediaType, c))
	}
	return list
}

// TestNestedIndexes: each digest is looked after once, and not all at a time, however many ways lead to it.
func TestNestedIndexes(t *testing.T) {
	const wide = 12
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Mine = []string{"b"} })
	x.fleet.Store(&only)
	root, manifests := x.at["a"].tree("v1", wide, 2)
	var mu sync.Mutex
	asked, now, most := 0, 0, 0
	b := x.at["b"]
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked, now = asked+1, now+1
		most = max(most, now)
		mu.Unlock()
		b.ServeHTTP(w, r)
		mu.Lock()
		now--
		mu.Unlock()
	})
	x.push("v1", root, "a")
	x.run()
	x.settled("b")
	if !b.whole("v1") {
		t.Error("it is not whole")
	}
	mu.Lock()
	defer mu.Unlock()
	// Of a manifest GET and PUT, of a blob HEAD, POST, PATCH, PUT; the tag.
	if bound := 2*manifests + 4*2*wide + 2; asked > bound {
		t.Errorf("%d requests of %d manifests, not %d", asked, manifests, bound)
	}
	if most > 2*maxParts+1 {
		t.Errorf("%d at a time", most)
	}
}
