package dnsserver

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// pauseAfter pauses after a failed read or accept, longer with each failure in a row, and says whether to go on and
// what to return if not. Running out of descriptors or buffers passes, so
// that only the end of ctx and a closed socket are final.
func pauseAfter(ctx context.Context, err error, inRow int) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, nil
	case errors.Is(err, net.ErrClosed):
		return false, err
	}
	pause := time.NewTimer(min(leastPause<<min(inRow, 10), mostPause))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false, nil
	case <-pause.C:
		return true, nil
	}
}
