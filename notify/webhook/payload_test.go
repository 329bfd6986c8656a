package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// TestPayload holds the fields of ACR's webhook schema reference: their names, order and types, and no others.
func TestPayload(t *testing.T) {
	chart := image("e1")
	chart.Action = subscription.ChartPush
	chart.Target.Repository, chart.Target.Tag = "charts/wordpress", "5.4.0_build1"
	for name, test := range map[string]struct {
		event  Event
		change func(*Event)
		want   string
	}{
		"push": {image("e1"), func(*Event) {},
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"push","target":{` +
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"` + digest +
				`","length":524,"repository":"app","tag":"v1"},` +
				`"request":{"id":"r1","host":"registry.contoso.com","method":"PUT","useragent":"docker/27 (linux; <a&b>)"}}`},
		"push by digest": {image("e1"), func(e *Event) { e.Target.Tag = "" },
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"push","target":{` +
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"` + digest +
				`","length":524,"repository":"app"},` +
				`"request":{"id":"r1","host":"registry.contoso.com","method":"PUT","useragent":"docker/27 (linux; <a&b>)"}}`},
		"replicated": {image("e1"), func(e *Event) { e.Action = subscription.Replicated },
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"replicated","target":{` +
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"` + digest +
				`","length":524,"repository":"app","tag":"v1"},` +
				`"request":{"id":"r1","host":"registry.contoso.com","method":"PUT","useragent":"docker/27 (linux; <a&b>)"}}`},
		"delete": {image("e1"), func(e *Event) {
			e.Action, e.Target.Tag, e.Request.Method = subscription.Delete, "",
				"DELETE"
		}, `{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"delete","target":{` +
			`"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + digest + `","repository":"app"},` +
			`"request":{"id":"r1","host":"registry.contoso.com","method":"DELETE","useragent":"docker/27 (linux; <a&b>)"}}`},
		"chart push": {chart, func(*Event) {},
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"chart_push","target":{` +
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"` + digest +
				`","repository":"charts/wordpress","tag":"5.4.0_build1",` +
				`"name":"wordpress","version":"5.4.0+build1"}}`},
		"chart delete": {chart, func(e *Event) { e.Action, e.Target.Tag = subscription.ChartDelete, "" },
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"chart_delete","target":{` +
				`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"` + digest +
				`","repository":"charts/wordpress","name":"wordpress"}}`},
		"ping": {image("e1"), func(e *Event) { e.Action = subscription.Ping },
			`{"id":"e1","timestamp":"2026-11-17T16:52:01.343145347Z","action":"ping"}`},
	} {
		t.Run(name, func(t *testing.T) {
			test.change(&test.event)
			got, err := payloadOf(test.event)
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestPayloadIsBounded(t *testing.T) {
	e := image("e1")
	e.Request = Request{strings.Repeat("i", 1<<20), strings.Repeat("h", 1<<20), strings.Repeat("m", 1<<20),
		strings.Repeat("\xff\x00<", 1<<20)}
	got, err := payloadOf(e)
	if err != nil || len(got) > 16<<10 || !json.Valid(got) || bytes.ContainsRune(got, '�') {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}
