package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// recorder is an upstream that reads HTTP/1.1 by the strictest reading there is, of the bytes themselves, and keeps what
// came. What it cannot read so is wrong: a gateway sends nothing that another server might read in another way.
type recorder struct {
	address string

	mu     sync.Mutex
	came   []recorded // in full; guarded by mu
	wrong  []string   // guarded by mu
	broken int        // requests that ended before their end; guarded by mu
}

// recorded is one request as it came.
type recorded struct {
	method, target string
	fields         []recordedField
	body           string
}

type recordedField struct{ name, value string }

// all are the values of a field, in order.
func (r recorded) all(name string) (values []string) {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

func startRecorder(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &recorder{address: l.Addr().String()}
	var all sync.WaitGroup
	var conns sync.Map
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, true)
			all.Go(func() {
				defer conns.Delete(conn)
				defer conn.Close()
				r.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		all.Wait()
	})
	return r
}

// serve answers each request of a connection with what tells whose answer it is.
func (r *recorder) serve(conn net.Conn) {
	reader := bufio.NewReaderSize(conn, 128<<10)
	for {
		if _, err := reader.Peek(1); err != nil {
			return
		}
		request, err := readStrictly(reader)
		r.note(request, err)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, answerTo(request)); err != nil {
			return
		}
	}
}

func (r *recorder) note(request recorded, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.came = append(r.came, request)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		r.broken++
	default:
		r.wrong = append(r.wrong, err.Error())
	}
}

func isReset(err error) bool {
	var network net.Error
	return errors.As(err, &network)
}

// seen is all that came in full, and what was wrong.
func (r *recorder) seen() ([]recorded, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came), slices.Clone(r.wrong)
}

// caseName is the repository of a request, which says what it belongs to.
var caseName = regexp.MustCompile(`^/v2/([a-z]+[0-9]+)/`)

// answerTo is a success, as registries say it.
func answerTo(r recorded) string {
	name := "none"
	if m := caseName.FindStringSubmatch(r.target); m != nil {
		name = m[1]
	}
	status, body := "200 OK", "{}"
	switch r.method {
	case "POST", "PATCH":
		status, body = "202 Accepted\r\nLocation: /v2/"+name+"/blobs/uploads/2", ""
	case "PUT":
		status, body = "201 Created\r\nLocation: /v2/"+name+"/blobs/x", ""
	case "DELETE":
		status, body = "202 Accepted", ""
	}
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Answer-To: %s\r\nContent-Length: %d\r\n\r\n",
		status, name, len(body))
	if r.method == "HEAD" {
		return head
	}
	return head + body
}

const (
	tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	// pathCharacters are RFC 3986's of a path and a query.
	pathCharacters = "/?:@!$&'()*+,;=-._~%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func only(characters, s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune(characters, c)
	})
}

// readStrictly reads one request. An error that is none of io's is the reader's complaint.
func readStrictly(r *bufio.Reader) (recorded, error) {
	line, err := readLine(r)
	if err != nil {
		return recorded{}, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !only(tokenCharacters, parts[0]) || parts[2] != "HTTP/1.1" || !strings.HasPrefix(parts[1], "/") {
		return recorded{}, fmt.Errorf("request line %q", line)
	}
	path, query, _ := strings.Cut(parts[1], "?")
	if !only(pathCharacters, path) || strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return recorded{}, fmt.Errorf("target %q", parts[1])
	}
	request := recorded{method: parts[0], target: parts[1]}
	if request.fields, err = readFields(r); err != nil {
		return request, err
	}
	if hosts := request.all("Host"); len(hosts) != 1 || hosts[0] == "" {
		return request, fmt.Errorf("hosts %q of %q", hosts, line)
	}
	request.body, err = readBody(r, request)
	return request, err
}

// readLine wants CR and LF, together and nowhere else.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\x00") {
		return "", fmt.Errorf("line %q", line)
	}
	return text, nil
}

func readFields(r *bufio.Reader) (fields []recordedField, err error) {
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !only(tokenCharacters, name) || strings.ContainsFunc(value, isControl) {
			return fields, fmt.Errorf("field %q", line)
		}
		fields = append(fields, recordedField{name, strings.TrimSpace(value)})
	}
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

func readBody(r *bufio.Reader, request recorded) (string, error) {
	lengths, codings := request.all("Content-Length"), request.all("Transfer-Encoding")
	switch {
	case len(lengths) == 0 && len(codings) == 0:
		return "", nil
	case len(lengths) == 1 && len(codings) == 0 && only("0123456789", lengths[0]):
		n, err := strconv.ParseUint(lengths[0], 10, 31)
		if err != nil {
			return "", fmt.Errorf("length %q", lengths)
		}
		body := make([]byte, n)
		_, err = io.ReadFull(r, body)
		return string(body), err
	case len(lengths) == 0 && len(codings) == 1 && codings[0] == "chunked":
		return readChunks(r)
	}
	return "", fmt.Errorf("framing %q %q", lengths, codings)
}

func readChunks(r *bufio.Reader) (body string, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return body, err
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil || !only("0123456789abcdefABCDEF", line) {
			return body, fmt.Errorf("chunk size %q", line)
		}
		if n == 0 {
			_, err := readFields(r)
			return body, err
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return body, err
		}
		if string(data[n:]) != "\r\n" {
			return body, fmt.Errorf("chunk end %q", data[n:])
		}
		body += string(data[:n])
	}
}
