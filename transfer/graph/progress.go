package graph

import "sync"

// Progress is how far a copy is. Its totals grow as manifests are read.
type Progress struct {
	Bytes int64 `json:"bytes"` // of blobs that are there now
	Of    int64 `json:"of"`
	Moved int64 `json:"moved"` // bytes that were copied, those included that were copied twice
	Blobs int   `json:"blobs"` // that are there now
	Known int   `json:"known"` // blobs in all
	Found int   `json:"found"` // that were there before
}

type progress struct {
	lock sync.Mutex
	is   Progress // Guarded by lock.
}

// Progress may be asked for at any time.
func (p *progress) Progress() Progress {
	p.lock.Lock()
	defer p.lock.Unlock()
	out := p.is
	out.Bytes = min(out.Bytes, out.Of)
	return out
}

func (p *progress) begin(size int64) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.is.Of += size
	p.is.Known++
}

// forget undoes begin.
func (p *progress) forget(size int64) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.is.Of -= size
	p.is.Known--
}

func (p *progress) move(n int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.is.Bytes += int64(n)
	p.is.Moved += int64(n)
}

// end replaces the bytes that were moved for a blob by the blob's size.
func (p *progress) end(size, moved int64, there bool, err error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.is.Bytes -= moved
	if err != nil {
		return
	}
	p.is.Bytes += size
	p.is.Blobs++
	if there {
		p.is.Found++
	}
}
