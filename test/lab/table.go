package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// count is what tables show: how many pushes of how many ended in a way.
type count struct{ failed, damaged, hung, n, split int }

func (c count) plus(r result) count {
	return count{c.failed + r.Outcomes[failed], c.damaged + r.Outcomes[damaged], c.hung + r.Outcomes[hung], c.n +
		r.pushes(), c.split + r.Split}
}

func (c count) bad() int { return c.failed + c.damaged + c.hung }

// String is "failed+damaged of n"; the hung ones are named only if there are any.
func (c count) String() string {
	switch {
	case c.n == 0:
		return "–"
	case c.hung > 0:
		return fmt.Sprintf("%d+%d+%d hung of %d", c.failed, c.damaged, c.hung, c.n)
	}
	return fmt.Sprintf("%d+%d of %d", c.failed, c.damaged, c.n)
}

// writeTables writes everything there is to say about the results, in Markdown.
func writeTables(w io.Writer, results []result) {
	if len(results) == 0 {
		fmt.Fprintln(w, "There are no results yet.")
		return
	}
	scattered := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.Mode == "kill" || r.pulls() })
	if len(scattered) > 0 {
		fmt.Fprint(w, "Pushes that failed + pushes that were damaged, of all pushes; all registries, all modes but `roam`.\n\n")
		writeTable(w, slices.DeleteFunc(slices.Clone(scattered), func(r result) bool { return r.Mode == "roam" }))
	}
	for _, mode := range modes {
		of := slices.DeleteFunc(slices.Clone(scattered), func(r result) bool { return r.Mode != mode })
		if len(of) > 0 {
			fmt.Fprintf(w, "\nMode `%s`.\n\n", mode)
			writeTable(w, of)
		}
	}
	for _, layer := range layersOf(results, func(c cell) bool { return c.Mode == "kill" }) {
		writeKilled(w, layer, slices.DeleteFunc(slices.Clone(results), func(r result) bool {
			return r.Mode != "kill" || r.Layer != layer
		}))
	}
	for _, layer := range layersOf(results, cell.pulls) {
		writePulled(w, layer, slices.DeleteFunc(slices.Clone(results), func(r result) bool {
			return !r.pulls() || r.Layer != layer
		}))
	}
	writeVersions(w, results)
}

func writeTable(w io.Writer, results []result) {
	counts, totals := map[[2]string]count{}, map[string]count{}
	for _, r := range results {
		counts[[2]string{r.Client, r.Setup}] = counts[[2]string{r.Client, r.Setup}].plus(r)
		totals[r.Setup] = totals[r.Setup].plus(r)
	}
	row(w, append([]string{"client"}, setups...)...)
	row(w, slices.Repeat([]string{"---"}, len(setups)+1)...)
	for _, client := range clientsOf(results) {
		cells := []string{client}
		for _, setup := range setups {
			cells = append(cells, counts[[2]string{client, setup}].String())
		}
		row(w, cells...)
	}
	all, shares, split := []string{"all"}, []string{"bad, and at most, with 95 % confidence"},
		[]string{"came to both ends"}
	for _, setup := range setups {
		c := totals[setup]
		all = append(all, c.String())
		share, both := "–", "–"
		if c.n > 0 {
			both = fmt.Sprint(c.split)
			share = fmt.Sprintf("%.1f %%, %.2f %%", 100*float64(c.bad())/float64(c.n), 100*upperBound(c.bad(), c.n))
		}
		shares, split = append(shares, share), append(split, both)
	}
	row(w, all...)
	row(w, shares...)
	row(w, split...)
}

// layersOf are the sizes of layers that there are, the smallest first.
func layersOf(results []result, of func(cell) bool) []int {
	var sizes []int
	for _, r := range results {
		if of(r.cell) {
			sizes = append(sizes, r.Layer)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

func sizeOf(layer int) string {
	switch {
	case layer == 0:
		return "64 to 200 KiB"
	case layer%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", layer>>20)
	}
	return fmt.Sprintf("%d KiB", layer>>10)
}

// writeKilled: with Fairlead in front, the replica that owns the push is killed.
func writeKilled(w io.Writer, layer int, results []result) {
	fmt.Fprintf(w, "\nThe replica that owns the push is killed at a random moment of it; Fairlead in front of three, "+
		"layers of %s.\n\n", sizeOf(layer))
	ends := []string{ok, failed, damaged, hung, unharmed}
	row(w, "client", "whole on another", "failed, and the client says so", "damaged", "hung", "finished before")
	row(w, slices.Repeat([]string{"---"}, len(ends)+1)...)
	for _, client := range clientsOf(results) {
		sums := map[string]int{}
		for _, r := range results {
			if r.Client == client {
				for end, n := range r.Outcomes {
					sums[end] += n
				}
			}
		}
		cells := []string{client}
		for _, end := range ends {
			cells = append(cells, fmt.Sprint(sums[end]))
		}
		row(w, cells...)
	}
}

// writePulled: with Fairlead in front, something happens to the replica that serves a pull.
func writePulled(w io.Writer, layer int, results []result) {
	fmt.Fprintf(w, "\nPulls of %s, in the midst of which something happens to the replica that serves them: whole of all "+
		"(failed, damaged, hung); the most that replicas sent for a whole one.\n\n", sizeOf(layer))
	var faults []string
	for _, mode := range modes {
		if (cell{Mode: mode}).pulls() {
			faults = append(faults, mode)
		}
	}
	row(w, append([]string{"client"}, faults...)...)
	row(w, slices.Repeat([]string{"---"}, len(faults)+1)...)
	for _, client := range clientsOf(results) {
		cells := []string{client}
		for _, mode := range faults {
			cells = append(cells, pulled(slices.DeleteFunc(slices.Clone(results), func(r result) bool {
				return r.Client != client || r.Mode != mode
			})))
		}
		row(w, cells...)
	}
}

func pulled(results []result) string {
	c, most := count{}, 0.0
	for _, r := range results {
		c = c.plus(r)
		if len(r.Fetched) > 0 {
			most = max(most, slices.Max(r.Fetched))
		}
	}
	if c.n == 0 {
		return "–"
	}
	s := fmt.Sprintf("%d of %d", c.n-c.bad(), c.n)
	if c.bad() > 0 {
		s += fmt.Sprintf(" (%d, %d, %d)", c.failed, c.damaged, c.hung)
	}
	if most > 0 {
		s += fmt.Sprintf("; %.3f", most)
	}
	return s
}

// writeVersions says what was measured. More than one version of a thing is worth seeing.
func writeVersions(w io.Writer, results []result) {
	versions, fairleads := []string{}, []string{}
	for _, r := range results {
		versions = append(versions, r.Client+" "+r.Version)
		if r.fairlead() {
			fairleads = append(fairleads, r.Fairlead)
		}
	}
	slices.Sort(versions)
	slices.Sort(fairleads)
	fmt.Fprintf(w, "\nClients: %s. Fairlead: %s.\n", strings.Join(slices.Compact(versions), ", "),
		strings.Join(slices.Compact(fairleads), ", "))
}

// clientsOf keeps the order in which clients are run.
func clientsOf(results []result) []string {
	var names []string
	for _, c := range clients {
		if slices.ContainsFunc(results, func(r result) bool { return r.Client == c.name }) {
			names = append(names, c.name)
		}
	}
	return names
}

func row(w io.Writer, cells ...string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
