package ledger

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func BenchmarkPush(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(writers, "at_once"), func(b *testing.B) {
			l, err := attempt(b.TempDir(), "gw1", Named(regions...), time.Now)
			must(b, err)
			defer l.Close()
			flushes := func() (id int) {
				must(b, l.db.View(func(t *bolt.Tx) error { id = t.ID(); return nil }))
				return id
			}
			before := flushes()
			var n atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range writers {
				all.Go(func() {
					for i := int(n.Add(1)); i <= b.N; i = int(n.Add(1)) {
						push(b, l, tag(fmt.Sprint("v", i)), digest(i), "east")
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(2*(flushes()-before))/float64(b.N), "fsyncs/op")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	l := start(b, b.TempDir(), "gw1", newWall())
	defer l.Close()
	const many = 10_000
	must(b, l.submit(func(t *tx) error {
		for i := range many {
			e := Entry{Reference: tag(fmt.Sprint("v", i)), Digest: digest(i), MediaType: mediaType, Replica: "east",
				Stamp: l.clock.Now(epoch)}
			if _, err := t.record(e); err != nil {
				return err
			}
		}
		return nil
	}))
	b.ResetTimer()
	for i := range b.N {
		if get(b, l, tag(fmt.Sprint("v", i%many))).Name == "" {
			b.Fatal("not found")
		}
	}
}
