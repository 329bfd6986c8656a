package upstream

import "strings"

// unquotedError says what is wrong with an answer, and not what stands there.
type unquotedError struct {
	error
	text string
}

func (e unquotedError) Error() string { return e.text }
func (e unquotedError) Unwrap() error { return e.error }

// unquoted takes out of an error what net/http quotes of an answer that it cannot read: a field may be a cookie, and
// errors are logged.
func unquoted(err error) error {
	text, _, quotes := strings.Cut(err.Error(), `"`)
	if !quotes || !strings.Contains(text, "transport connection broken") {
		return err
	}
	return unquotedError{err, strings.TrimRight(text, ": ")}
}
