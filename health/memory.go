package health

import (
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"
)

// Bounds of what is remembered between two runs: longer ago says nothing of now.
const (
	rememberEvery = time.Second
	maxMemoryAge  = 10 * time.Minute
	maxMemorySize = 1 << 20 // bytes of the file
)

// Down is what was down: the replica's upstream, or one of its fronts.
type Down struct {
	Replica string     `json:"replica"`
	Front   netip.Addr `json:"front,omitzero"` // invalid for the upstream
}

// memory is the file.
type memory struct {
	At   time.Time `json:"at"`
	Down []Down    `json:"down"`
}

// LastDown is what the file of an earlier run says was down when that ended, unless that is more than ten minutes
// ago. A file that cannot be read says nothing.
func LastDown(file string, now time.Time) []Down {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var m memory
	if json.NewDecoder(io.LimitReader(f, maxMemorySize)).Decode(&m) != nil || now.Sub(m.At).Abs() > maxMemoryAge {
		return nil
	}
	return m.Down
}

// Remember keeps what is down in a file until ctx ends, for LastDown. Without a file it does nothing.
func (m *Monitor) Remember(ctx context.Context, file string) {
	if file == "" {
		return
	}
	tick := time.NewTicker(rememberEvery)
	defer tick.Stop()
	var kept memory
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			down := m.down()
			if slices.Equal(down, kept.Down) && now.Sub(kept.At) < maxMemoryAge/10 {
				continue
			}
			kept = memory{now, down}
			if err := kept.write(file); err != nil {
				m.config.Log.Debug("what is down cannot be remembered", "file", file, "error", err)
			}
		}
	}
}

func (m *Monitor) down() []Down {
	m.mu.Lock()
	defer m.mu.Unlock()
	down := []Down{}
	for _, w := range m.watches {
		if !m.seen[w.key()].Up {
			down = append(down, Down{w.Replica, w.Front})
		}
	}
	return down
}

func (m memory) write(file string) error { return writeJSON(file, m) }

func writeJSON(file string, value any) error {
	data, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}
