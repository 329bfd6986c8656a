package geo

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// run of the slow twin of runs: a plain list.
type run struct {
	start uint64
	value uint16
}

func findRun(list []run, key uint64) int {
	i := 0
	for i+1 < len(list) && list[i+1].start <= key {
		i++
	}
	return i
}

// drawKey draws a key whose bits are alike but for some, so that keys meet in few blocks of the index.
func drawKey(t *rapid.T, width uint) uint64 {
	key := rapid.SampledFrom([]uint64{0, 0, 0x2001 << (width - 16), 1<<(width-16) - 1, 1<<(width-1)<<1 - 1}).Draw(t,
		"key")
	if at := rapid.UintRange(0, width).Draw(t, "from bit"); at < width {
		key ^= rapid.Uint64Range(0, 7).Draw(t, "bits") << at
	}
	return key & (1<<(width-1)<<1 - 1)
}

// drawRuns draws starts, among them 0, with values that may repeat.
func drawRuns(t *rapid.T, width uint) []run {
	starts := []uint64{0}
	for range rapid.IntRange(0, 12).Draw(t, "runs") {
		starts = append(starts, drawKey(t, width))
	}
	for range rapid.IntRange(0, 3).Draw(t, "clumps") { // more than a part of a finer index has
		start, step := drawKey(t, width), uint64(1)<<rapid.UintRange(0, 12).Draw(t, "step")
		for range rapid.IntRange(0, 150).Draw(t, "of") {
			start = min(start+step, 1<<width-1)
			starts = append(starts, start)
		}
	}
	slices.Sort(starts)
	var list []run
	for _, start := range slices.Compact(starts) {
		list = append(list, run{start, rapid.Uint16Range(0, 3).Draw(t, "value")})
	}
	return list
}

// checkRuns compares runs of a width with their twin.
func checkRuns[L uint16 | uint32](width uint) func(*testing.T) {
	return func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			list := drawRuns(t, width)
			r := newRuns[L](width)
			for _, n := range list {
				r.append(n.start, n.value)
			}
			r.end()
			if rapid.Bool().Draw(t, "refined") {
				r.refine()
			}
			list = slices.CompactFunc(list, func(a, b run) bool { return a.value == b.value })

			for i, n := range list {
				if got := r.find(n.start); got != i {
					t.Fatalf("find(%x) = %d, want %d", n.start, got, i)
				}
			}
			key := drawKey(t, width)
			if rapid.Bool().Draw(t, "beside a start") {
				key = rapid.SampledFrom(list).Draw(t, "start").start - rapid.Uint64Range(0, 1).Draw(t, "before")
				key &= 1<<(width-1)<<1 - 1
			}
			i := findRun(list, key)
			if got := r.find(key); got != i || r.value[got] != list[i].value {
				t.Fatalf("find(%x) = %d with %d, want %d with %d", key, got, r.value[got], i, list[i].value)
			}
			if got, want := r.within(i, key), widest(list, i, key, width); got != want {
				t.Fatalf("within(%d, %x) = %d, want %d", i, key, got, want)
			}

			visits := slices.Concat([]run{{key, list[i].value}}, list[i+1:])
			most := rapid.IntRange(1, len(visits)).Draw(t, "visits")
			var got []run
			r.from(key, func(start uint64, value uint16) bool {
				got = append(got, run{start, value})
				return len(got) < most
			})
			if want := visits[:most]; !slices.Equal(got, want) {
				t.Fatalf("from(%x) visits %x, want %x", key, got, want)
			}
		})
	}
}

// widest tries every length from the shortest on.
func widest(list []run, i int, key uint64, width uint) int {
	for length := range int(width) {
		inside := int(width) - length // bits
		first := key >> inside << inside
		last := first | (1<<(inside-1)<<1 - 1)
		if first >= list[i].start && (i+1 == len(list) || last < list[i+1].start) {
			return length
		}
	}
	return int(width)
}

func TestRunsAgreeWithTheirSlowTwin(t *testing.T) {
	t.Run("32 bits", checkRuns[uint16](32))
	t.Run("48 bits", checkRuns[uint32](48))
}
