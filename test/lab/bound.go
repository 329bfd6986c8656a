package main

import "math"

// upperBound is the one-sided 95 % confidence bound of Clopper and Pearson: the largest probability of a bad push with
// which at most bad of n are seen in one case of twenty. For none of n it is about 3/n.
func upperBound(bad, n int) float64 {
	if bad >= n {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 {
		if p := (low + high) / 2; atMost(bad, n, p) > 0.05 {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// atMost is the probability of at most k of n, each of them having probability p.
func atMost(k, n int, p float64) float64 {
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(logFactorial(n) - logFactorial(i) - logFactorial(n-i) + float64(i)*math.Log(p) +
			float64(n-i)*math.Log1p(-p))
	}
	return sum
}

func logFactorial(n int) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}
