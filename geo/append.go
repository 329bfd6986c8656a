package geo

// appendInterruptibly appends to what may be long. append alone would copy it in one go, which nothing can interrupt:
// the collector waits for it, and who needs memory waits for the collector, 60 ms where memory comes slowly.
func appendInterruptibly[T any](list []T, v T) []T {
	if len(list) == cap(list) {
		list = copyInterruptibly(list, max(1024, len(list)+len(list)/2))
	}
	return append(list, v)
}

// copyInterruptibly copies a list into memory for so many.
func copyInterruptibly[T any](list []T, size int) []T {
	out := make([]T, 0, size)
	for _, v := range list { //nolint:staticcheck // append(out, list...) copies all at once
		out = append(out, v)
	}
	return out
}
