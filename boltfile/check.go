package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// bbolt trusts the pages it reads: a wrong number in one makes it read outside the file, take all memory or run in a
// circle, which no recover catches, also in its own Check. So every page is read once beforehand, as a file. The format
// has been the same since 2013: numbers in the machine's own order; a page is id 8, flags 2, count 2, overflow 4,
// elements. bbolt's own Check in a process of its own would not do in place of this: see TestWhatBboltDoesNotSee.
const (
	pageHeader = 16
	element    = 16
	metaSize   = 64

	flagBranch = 0x01
	flagLeaf   = 0x02
	flagFree   = 0x10
	flagBucket = 0x01 // of a leaf's element: the value is a bucket

	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

var order = binary.NativeEndian

// Check judges all of a file. An empty one is a new one.
func Check(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	w := walk{file: file, pageSize: int64(os.Getpagesize())}
	m, err := w.newest()
	if err != nil {
		return err
	}
	if uint64(info.Size()/w.pageSize) < m.pages {
		return fmt.Errorf("of %d pages only %d are there", m.pages, info.Size()/w.pageSize)
	}
	w.used = make([]bool, m.pages)
	if err := w.tree(m.root, nil, 0); err != nil {
		return err
	}
	return w.free(m.free)
}

// meta is where everything begins.
type meta struct{ root, free, pages, change uint64 }

type walk struct {
	file     *os.File
	pageSize int64
	used     []bool // pages that have a place

	// Of the bucket that is being read: its keys ascend over all pages.
	last  []byte // key of a leaf
	least []byte // key of a branch, which none behind it is below
}

// newest reads both metas. One that was being written when the machine stopped is incomplete, and the other one counts.
func (w *walk) newest() (m meta, err error) {
	for i := range int64(2) {
		page := make([]byte, pageHeader+metaSize)
		if _, err := w.file.ReadAt(page, i*w.pageSize); err != nil {
			return meta{}, err
		}
		// Magic 4, version 4, page size 4, flags 4, root 8, sequence 8, free pages 8, pages 8, change 8, sum 8.
		b := page[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(b[:metaSize-8])
		if sum.Sum64() != order.Uint64(b[metaSize-8:]) ||
			order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion {
			continue
		}
		if w.pageSize = int64(order.Uint32(b[8:])); w.pageSize < pageHeader+metaSize {
			return meta{}, fmt.Errorf("pages of %d bytes", w.pageSize)
		}
		if change := order.Uint64(b[48:]); m.pages == 0 || change > m.change {
			m = meta{order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), change}
		}
	}
	if m.pages == 0 {
		return m, errors.New("nothing says where it begins")
	}
	return m, nil
}

// read returns a page with its overflow, and gives it a place.
func (w *walk) read(id uint64) ([]byte, error) {
	head := make([]byte, pageHeader)
	if err := w.use(id); err != nil {
		return nil, err
	}
	if _, err := w.file.ReadAt(head, int64(id)*w.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id {
		return nil, fmt.Errorf("page %d: it says it is page %d", id, order.Uint64(head))
	}
	for i := range overflow {
		if err := w.use(id + 1 + i); err != nil {
			return nil, err
		}
	}
	page := make([]byte, int64(overflow+1)*w.pageSize)
	if _, err := w.file.ReadAt(page, int64(id)*w.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return page, nil
}

func (w *walk) use(id uint64) error {
	if id < 2 || id >= uint64(len(w.used)) || w.used[id] {
		return fmt.Errorf("page %d: not one of %d, or in two places", id, len(w.used))
	}
	w.used[id] = true
	return nil
}

// maxDepth is more than any tree on a disk has.
const maxDepth = 64

// tree begins with the key that the branch above has for it: by that key bbolt finds a page's place again when it
// writes.
func (w *walk) tree(id uint64, first []byte, depth int) error {
	page, err := w.read(id)
	if err != nil {
		return err
	}
	if err := w.elements(page, first, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements are, in a branch, position 4, key size 4, child 8; in a leaf, flags 4, position 4, key size 4, value size 4.
// Positions count from the element.
func (w *walk) elements(page, first []byte, depth int) error {
	flags, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	if flags != flagBranch && flags != flagLeaf || flags == flagBranch && count == 0 ||
		pageHeader+count*element > len(page) || depth > maxDepth {
		return errors.New("neither branch nor leaf")
	}
	if count == 0 && first != nil {
		return errors.New("nothing in it")
	}
	for i := range count {
		e := page[pageHeader+i*element:]
		position, keySize, valueSize := uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), uint64(0)
		if flags == flagLeaf {
			position, keySize = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:]))
			valueSize = uint64(order.Uint32(e[12:]))
		}
		if position+keySize+valueSize > uint64(len(e)) || keySize == 0 {
			return fmt.Errorf("element %d is outside, or has no key", i)
		}
		key, value := e[position:position+keySize], e[position+keySize:position+keySize+valueSize]
		if bytes.Compare(key, w.least) < 0 || w.last != nil && bytes.Compare(key, w.last) <= 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
		if i == 0 && first != nil && !bytes.Equal(key, first) {
			return errors.New("its first key is not that of the branch")
		}
		var err error
		if flags == flagBranch {
			w.least = key
			err = w.tree(order.Uint64(e[8:]), key, depth+1)
		} else {
			w.last = key
			if order.Uint32(e) > flagBucket {
				return fmt.Errorf("element %d is neither value nor bucket", i)
			}
			if order.Uint32(e)&flagBucket != 0 {
				err = w.bucket(value, depth)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket is root 8, sequence 8; a small one has root 0 and its only page behind that.
func (w *walk) bucket(value []byte, depth int) error {
	last, least := w.last, w.least
	w.last, w.least = nil, nil
	defer func() { w.last, w.least = last, least }()
	switch {
	case len(value) < 16:
		return errors.New("a bucket is too small")
	case order.Uint64(value) != 0:
		return w.tree(order.Uint64(value), nil, depth+1)
	case len(value) < 16+pageHeader || order.Uint16(value[16+8:]) != flagLeaf:
		return errors.New("a bucket has no page")
	}
	return w.elements(value[16:], nil, depth+1)
}

// free reads the list of pages without a place: count in the header, or, if that is the largest there is, 8 bytes
// before them.
func (w *walk) free(id uint64) error {
	page, err := w.read(id)
	if err != nil {
		return err
	}
	count, ids := uint64(order.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if order.Uint16(page[8:]) != flagFree || count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d: no list of free pages", id)
	}
	for i := range count {
		if err := w.use(order.Uint64(ids[8*i:])); err != nil {
			return fmt.Errorf("free: %w", err)
		}
	}
	return nil
}
