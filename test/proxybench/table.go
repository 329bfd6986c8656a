package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// yardstick is the peer that targets are measured by.
const yardstick = "HAProxy"

// table has a line for each case and gateway: medians of the CPU times, and of the ratios to the yardstick in the same
// round.
func (b bench) table(r results) string {
	var gateways, others []string
	for _, p := range b.peers {
		if p.gateway {
			gateways = append(gateways, p.name)
		} else {
			others = append(others, p.name)
		}
	}
	var out strings.Builder
	columns := slices.Concat([]string{"CPU of the proxy", "proxy", "CPU"}, others,
		[]string{"ratio to " + yardstick, "lowest, highest", "target", ""})
	fmt.Fprintf(&out, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
	for _, c := range b.cases {
		for _, g := range gateways {
			fmt.Fprintf(&out, "| %s |\n", strings.Join(c.line(r[c.name], g, others), " | "))
		}
	}
	return out.String()
}

func (c benchCase) line(of map[string][]time.Duration, gateway string, others []string) []string {
	line := []string{c.name, gateway, c.figure(median(of[gateway]))}
	for _, name := range others {
		line = append(line, c.figure(median(of[name])))
	}
	ratios := ratiosOf(of[gateway], of[yardstick])
	if len(ratios) == 0 {
		return append(line, "", "", c.wanted(), "")
	}
	ratio := median(ratios)
	return append(line, fmt.Sprintf("%.2f", ratio),
		fmt.Sprintf("%.2f, %.2f", slices.Min(ratios), slices.Max(ratios)), c.wanted(), c.verdict(ratio))
}

func (c benchCase) wanted() string {
	if c.target == 0 {
		return ""
	}
	return fmt.Sprintf("≤ %.2f", c.target)
}

func (c benchCase) verdict(ratio float64) string {
	switch {
	case c.target == 0:
		return ""
	case ratio <= c.target:
		return "pass"
	default:
		return "FAIL"
	}
}

// ratiosOf compares what was measured in the same round.
func ratiosOf(ours, theirs []time.Duration) []float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, float64(ours[i])/float64(theirs[i]))
	}
	return ratios
}

// median of an even number is the mean of the two in the middle; of none it is 0.
func median[T time.Duration | float64](of []T) T {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
