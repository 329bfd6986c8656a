package replication

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// maxQueue bounds the tasks that wait for one replica, and the entries of a scan. The ledger has the rest.
const maxQueue = 16_384

// origin is how a task came. Each origin has a line of its own, so that none starves the others.
type origin int

// The closed set of origins.
const (
	told    origin = iota // by Enqueue: somebody may wait for it
	found                 // by a scan
	retried               // it has failed before
	origins
)

// queue is what waits for one replica, a task for each key. The zero value is empty.
type queue struct {
	items map[taskKey]*item
	lines [origins]ordered
}

type item struct {
	Task
	from  origin
	index int // in its line
}

func (q *queue) len() int { return len(q.items) }

func (q *queue) has(key taskKey) bool { return q.items[key] != nil }

// push merges a task with the one of the same key. It returns false if there is no room.
func (q *queue) push(t Task, from origin) bool {
	key := t.key()
	if have := q.items[key]; have != nil {
		heap.Remove(&q.lines[have.from], have.index)
		have.Task, have.from = merge(have.Task, t), min(have.from, from)
		heap.Push(&q.lines[have.from], have)
		return true
	}
	if len(q.items) >= maxQueue {
		return false
	}
	if q.items == nil {
		q.items = map[taskKey]*item{}
	}
	added := &item{Task: t, from: from}
	q.items[key] = added
	heap.Push(&q.lines[from], added)
	return true
}

// take removes the first task of a line that fits.
func (q *queue) take(from origin, fits func(Task) bool) (t Task, ok bool) {
	line, aside := &q.lines[from], []*item{}
	for len(*line) > 0 && !ok {
		next := heap.Pop(line).(*item) //nolint:forcetypeassert // it holds nothing else
		if ok = fits(next.Task); !ok {
			aside = append(aside, next)
			continue
		}
		t = next.Task
		delete(q.items, t.key())
	}
	for _, unfit := range aside {
		heap.Push(line, unfit)
	}
	return t, ok
}

// ordered is a heap, by compareTasks.
type ordered []*item

func (o ordered) Len() int           { return len(o) }
func (o ordered) Less(i, j int) bool { return compareTasks(o[i].Task, o[j].Task) < 0 }
func (o ordered) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

func (o *ordered) Push(x any) {
	added := x.(*item) //nolint:forcetypeassert // it holds nothing else
	added.index = len(*o)
	*o = append(*o, added)
}

func (o *ordered) Pop() any {
	last := len(*o) - 1
	out := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return out
}

// merge makes one task of two with the same key. It may change the entries of a.
func merge(a, b Task) Task {
	if a.Action != Copy || b.Action != Copy {
		if a.stamp().Compare(b.stamp()) > 0 {
			return a
		}
		return b
	}
	for _, e := range b.Entries {
		if i := slices.IndexFunc(a.Entries, func(o ledger.Entry) bool { return o.Reference == e.Reference }); i >= 0 {
			if a.Entries[i].Stamp.Compare(e.Stamp) > 0 {
				continue
			}
			a.Entries = slices.Delete(a.Entries, i, i+1)
		}
		i, _ := slices.BinarySearchFunc(a.Entries, e, older)
		a.Entries = slices.Insert(a.Entries, i, e)
	}
	sources := b.Sources
	for _, s := range a.Sources {
		if !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	a.Sources = sources
	return a
}

func older(a, b ledger.Entry) int {
	return cmp.Or(a.Stamp.Compare(b.Stamp), cmp.Compare(a.Name, b.Name))
}
