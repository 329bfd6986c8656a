package cluster

import (
	"context"
	"log/slog"
	"strings"
)

// debugWriter hands memberlist's lines to slog, at debug whatever level they claim: it calls an error what is an
// everyday thing between regions, and what matters to people is said by us.
type debugWriter struct {
	log     *slog.Logger
	misfits *misfits
}

func (w debugWriter) Write(p []byte) (int, error) {
	w.misfits.line(strings.TrimSpace(string(p)))
	if w.log.Enabled(context.Background(), slog.LevelDebug) {
		w.log.Debug(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
