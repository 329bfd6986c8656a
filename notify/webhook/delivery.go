package webhook

import (
	"encoding/json"
	"time"
)

// State is how far a delivery has come.
type State string

// All states. Dropped is what had to make room, dead what was tried as often as anything is.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Dead      State = "dead"
	Dropped   State = "dropped"
)

// Delivery is one event for one webhook, with what was last sent and answered: as az acr webhook list-events shows it,
// and four keys of ours. What is secret of it is masked before it is kept.
type Delivery struct {
	ID       string           `json:"id"`
	Request  RequestMessage   `json:"eventRequestMessage"`
	Response *ResponseMessage `json:"eventResponseMessage"` // nil: none came yet

	State    State     `json:"state"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"nextAttempt,omitzero"`
}

// RequestMessage is what was sent. Before the first attempt there is only its content.
type RequestMessage struct {
	Content    json.RawMessage   `json:"content"`
	Headers    map[string]string `json:"headers"`
	Method     string            `json:"method"`
	RequestURI string            `json:"requestUri"`
	Version    string            `json:"version"`
}

// ResponseMessage is what was answered, its content cut at maxResponse.
type ResponseMessage struct {
	Content      string            `json:"content"`
	Headers      map[string]string `json:"headers"`
	ReasonPhrase string            `json:"reasonPhrase"`
	StatusCode   string            `json:"statusCode"`
	Version      string            `json:"version"`
}

// after is the delivery after one more attempt.
func (d Delivery) after(o outcome, now time.Time, random float64) Delivery {
	d.Attempts++
	o.request.Content = d.Request.Content
	d.Request, d.Response = o.request, o.response
	d.Next, d.Error = time.Time{}, ""
	if o.err == nil {
		d.State = Delivered
		return d
	}
	d.Error = o.err.Error()
	wait, again := waitAfter(d.Attempts, random)
	if !again {
		d.State = Dead
		return d
	}
	d.Next = now.Add(wait)
	return d
}
