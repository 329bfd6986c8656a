package replication

import (
	"cmp"
	"container/heap"
	"slices"
)

// maxQueue bounds the tasks that wait for one replica, and the entries of a scan; the ledger has the rest.
const maxQueue = 16_384

// queue is what waits for one replica, a task for each key: what is tried for the first time apart from what has failed
// before, so that neither keeps the other away. The zero value is empty.
type queue struct {
	items   map[taskKey]*item
	first   ordered
	retries ordered
}

type item struct {
	Task
	retry bool
	index int // in its heap
}

func (q *queue) len() int { return len(q.items) }

func (q *queue) has(key taskKey) bool { return q.items[key] != nil }

func (q *queue) of(retry bool) *ordered {
	if retry {
		return &q.retries
	}
	return &q.first
}

// put is false where there is no room.
func (q *queue) put(t Task, retry bool) bool {
	key := t.key()
	if have := q.items[key]; have != nil {
		heap.Remove(q.of(have.retry), have.index)
		have.Task, have.retry = merge(have.Task, t), have.retry && retry
		heap.Push(q.of(have.retry), have)
		return true
	}
	if len(q.items) >= maxQueue {
		return false
	}
	if q.items == nil {
		q.items = map[taskKey]*item{}
	}
	added := &item{Task: t, retry: retry}
	q.items[key] = added
	heap.Push(q.of(retry), added)
	return true
}

// take is the first that fits.
func (q *queue) take(retry bool, fits func(Task) bool) (t Task, ok bool) {
	from, aside := q.of(retry), []*item{}
	for len(*from) > 0 && !ok {
		next := heap.Pop(from).(*item) //nolint:forcetypeassert // it holds nothing else
		if ok = fits(next.Task); !ok {
			aside = append(aside, next)
			continue
		}
		t = next.Task
		delete(q.items, t.key())
	}
	for _, waits := range aside {
		heap.Push(from, waits)
	}
	return t, ok
}

// ordered is a heap.
type ordered []*item

func (o ordered) Len() int           { return len(o) }
func (o ordered) Less(i, j int) bool { return order(o[i].Task, o[j].Task) < 0 }
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

// merge is one task for the entries of two with one key. What a was made of becomes its own.
func merge(a, b Task) Task {
	if a.Action != Copy || b.Action != Copy {
		if a.stamp().Compare(b.stamp()) > 0 {
			return a
		}
		return b
	}
	for _, e := range b.Entries {
		if i := slices.IndexFunc(a.Entries, func(o Entry) bool { return o.Reference == e.Reference }); i >= 0 {
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

func older(a, b Entry) int { return cmp.Or(a.Stamp.Compare(b.Stamp), cmp.Compare(a.Name, b.Name)) }
