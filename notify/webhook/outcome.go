package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// attemptTimeout bounds an attempt, from the name's resolution to the end of what is read of the answer.
const attemptTimeout = 10 * time.Second

// result is how an attempt ended: a closed set, for metrics.
type result string

const (
	resultDelivered result = "delivered"
	resultStatus    result = "status"   // an answer that is no success
	resultRedirect  result = "redirect" // an answer that points elsewhere, where nobody goes
	resultTimeout   result = "timeout"
	resultAddress   result = "address" // one that nothing is sent to
	resultBroken    result = "broken"  // no connection, or none to be trusted, or no answer on it
)

// outcome is what came of an attempt. err is nil if it was delivered.
type outcome struct {
	request  RequestMessage
	response *ResponseMessage
	result   result
	err      error
}

// failure sorts errors, and takes the address out, which may be the receiver's secret.
func failure(err error) (result, error) {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if refused, ok := errors.AsType[refusedError](err); ok {
		return resultAddress, refused
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return resultTimeout, fmt.Errorf("no answer within %v", attemptTimeout)
	}
	return resultBroken, err
}
