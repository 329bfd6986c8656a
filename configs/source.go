package configs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// replicasFolder stands beside the file: each file in it is one replica.
const replicasFolder = "replicas.d"

// maxEntries bounds what is read of replicas.d, whatever it is.
const maxEntries = 4096

// Source is a file, and those in replicas.d beside it, as they were when they were read.
type Source struct {
	file     string
	disk     bool
	data     []byte
	err      error  // why the file cannot be read
	parts    []part // those that can be
	problems Problems
	over     *Layer // what lies over it; nil: nothing
}

// part is one file of replicas.d.
type part struct {
	file string
	data []byte
}

// Read reads a file, and what stands in replicas.d beside it: what has a name in .yaml or .yml that does not begin
// with a dot. Editors' leftovers, and what a ConfigMap is mounted by, have no such name. All that cannot be read is
// said by Config.
func Read(path string) *Source {
	s := &Source{file: path, disk: true}
	if s.data, s.err = keyfiles.Read(path); s.err != nil {
		return s
	}
	files, err := partsBeside(path)
	if err != nil {
		s.problems = append(s.problems, Problem{File: folderBeside(path), Rule: fmt.Sprintf(ruleParts, err)})
	}
	all := 0
	for _, name := range files {
		data, err := keyfiles.Read(name)
		switch all += len(data); {
		case err != nil:
			s.problems = append(s.problems, Problem{File: name, Rule: fmt.Sprintf(ruleFile, err)})
		case all > maxFile:
			s.problems = append(s.problems, Problem{File: name, Rule: fmt.Sprintf(rulePartsLarge, maxFile)})
			return s
		default:
			s.parts = append(s.parts, part{name, data})
		}
	}
	return s
}

func folderBeside(path string) string { return filepath.Join(filepath.Dir(path), replicasFolder) }

// partsBeside are the files of replicas.d, by their names. A folder that is not there has none.
func partsBeside(path string) (files []string, err error) {
	folder := folderBeside(path)
	if info, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err == nil && !info.IsDir() {
		return nil, errors.New("it is a file")
	}
	f, err := os.Open(folder)
	if err != nil {
		return nil, keyfiles.Unwrapped(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, keyfiles.Unwrapped(err)
	}
	if len(names) > maxEntries {
		return nil, fmt.Errorf("it holds more than %d files", maxEntries)
	}
	slices.Sort(names)
	for _, name := range names {
		extension := filepath.Ext(name)
		if !strings.HasPrefix(name, ".") && (extension == ".yaml" || extension == ".yml") {
			files = append(files, filepath.Join(folder, name))
		}
	}
	return files, nil
}

// sum tells what was read from anything else.
func (s *Source) sum() [sha256.Size]byte {
	h := sha256.New()
	add := func(data []byte) {
		_ = binary.Write(h, binary.LittleEndian, uint64(len(data)))
		_, _ = h.Write(data)
	}
	add([]byte(fmt.Sprint(s.err)))
	add(s.data)
	for _, p := range s.parts {
		add([]byte(p.file))
		add(p.data)
	}
	for _, p := range s.problems {
		add([]byte(p.String()))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parts takes the files of replicas.d as further items of `replicas`.
func (d *decoder) parts(s *Source, c *Config) {
	const list = "replicas"
	if _, given := d.written[list]; !given && (len(s.parts) > 0 || len(s.problems) > 0) {
		none := &yaml.Node{Kind: yaml.SequenceNode}
		d.written[list] = written{file: folderBeside(s.file)}
		d.value(list, list, none, reflect.ValueOf(&c.Replicas).Elem())
	}
	if len(s.problems) > 0 {
		d.unread[list] = true // what seems to be missing may stand in what cannot be read
	}
	for _, p := range slices.Concat(s.parts, s.over.parts()) {
		at, into, checks := item(list, len(c.Replicas)), reflect.New(reflect.TypeFor[Replica]()).Elem(), len(d.checks)
		d.reading = written{file: p.file, root: at}
		d.budget = len(p.data) + s.over.nodes()
		root, problem := document(p.data)
		if root = s.over.onReplica(root); root == nil && problem.Rule == "" {
			continue // it was deleted
		}
		switch {
		case problem.Rule != "":
			d.written[at] = d.reading
			d.unread[at] = true
			d.add(problem)
		default:
			d.take(at, root.Line, root, func(path string, n *yaml.Node) { d.value(path, list+"[]", n, into) })
		}
		c.Replicas = append(c.Replicas, into.Interface().(Replica))
		if len(c.Replicas) > maxReplicas {
			d.checks = d.checks[:checks] // it is one too many: that is said, and is enough
		}
	}
	d.reading = written{file: s.file}
}
