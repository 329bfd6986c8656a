package accesslog

import (
	"os"
	"syscall"
)

// output is the file that lines go to. The zero value drops them.
type output struct {
	file *os.File
	name string // "": it is standard output, and nothing takes its place
	torn bool   // its last line has no end
}

func openOutput(name string) (output, error) {
	switch name {
	case "":
		return output{}, nil
	case Stdout:
		return output{file: os.Stdout}, nil
	}
	file, err := openFile(name)
	return output{file: file, name: name}, err
}

// openFile does not wait for whoever reads a named pipe: without one it is an error. Only its owner and group may read
// the file: it says who pulls what.
func openFile(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
}

// follow opens the file anew where another one, or none, bears its name: it was renamed, or removed, to be kept
// elsewhere. One that was emptied in its place goes on, since lines are appended.
func (o *output) follow() error {
	if o.name == "" {
		return nil
	}
	own, err := o.file.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(o.name); err == nil && os.SameFile(own, there) {
		return nil
	}
	file, err := openFile(o.name)
	if err != nil {
		return err
	}
	_ = o.file.Close() // lines that were written are the kernel's
	o.file, o.torn = file, false
	return nil
}

// write writes lines. n counts whole and broken ones. After a line that was written in part, which a full disk leaves,
// the next one begins anew.
func (o *output) write(lines []byte) (n int, err error) {
	if o.file == nil {
		return len(lines), nil
	}
	if o.torn {
		if _, err := o.file.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		o.torn = false
	}
	n, err = o.file.Write(lines)
	o.torn = n > 0 && lines[n-1] != '\n'
	return n, err
}

func (o *output) close() {
	if o.name != "" {
		_ = o.file.Close()
	}
}
