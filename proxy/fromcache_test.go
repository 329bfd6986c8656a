package proxy

import (
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/oci"
)

// push puts a blob where the client's push goes.
func (s *shelves) push(content []byte, by string) (digest string) {
	s.t.Helper()
	begun := s.do("POST "+uploads, nil)
	digest = oci.Digest(content)
	s.want(s.do("PUT "+begun.header.Get("Location")+"&digest="+digest, bytes.NewReader(content)), 201, by)
	return digest
}

// TestCommittedBlobsAreKept: a replica dies between the blobs of a push and its manifest, which goes to another one,
// with all that is small enough to be at hand.
func TestCommittedBlobsAreKept(t *testing.T) {
	config, layer := "config", strings.Repeat("layer", 10_000)
	image := imageOf(config, layer)
	pushed := func(t *testing.T, change func(*rigConfig)) *shelves {
		s := newShelves(t, change)
		s.push([]byte(config), "west; reason=owner")
		s.push([]byte(layer), "west; reason=owner")
		s.west.die()
		s.setDown("west")
		return s
	}
	put := func(s *shelves, line string) reply {
		return s.do(line, bytes.NewReader(image), "Content-Type: "+typeImage, "Authorization: Bearer alices")
	}
	t.Run("they are put to the other one", func(t *testing.T) {
		s := pushed(t, nil)
		s.want(put(s, "PUT /v2/app/manifests/v1"), 201, "east; reason=failover")
		for _, content := range []string{config, layer} {
			if !bytes.Equal(s.east.blob(oci.Digest([]byte(content))), []byte(content)) {
				t.Errorf("a blob of %d bytes is not there", len(content))
			}
		}
		if n := s.begunAgain(whyCommitted); n != 2 {
			t.Errorf("counted %v", n)
		}
		s.proxy.cache.mu.Lock()
		defer s.proxy.cache.mu.Unlock()
		if s.proxy.cache.kept != 0 {
			t.Errorf("%d bytes are kept of a push that is finished", s.proxy.cache.kept)
		}
	})
	t.Run("its client looks for them", func(t *testing.T) {
		s := pushed(t, nil)
		digest := oci.Digest([]byte(layer))
		s.want(s.do("HEAD /v2/other/blobs/"+digest, nil), 404, "east; reason=failover")
		s.want(s.do("HEAD /v2/app/blobs/"+digest, nil), 200, "east; reason=failover")
		if s.east.blob(digest) == nil {
			t.Error("it is said to be there, and is not")
		}
	})
	t.Run("with what its index names", func(t *testing.T) {
		s := newShelves(t, nil)
		s.push([]byte(config), "west; reason=owner")
		s.push([]byte(layer), "west; reason=owner")
		s.want(put(s, "PUT /v2/app/manifests/"+oci.Digest(image)), 201, "west; reason=leased")
		s.west.die()
		s.setDown("west")
		got := s.do("PUT /v2/app/manifests/v1", bytes.NewReader(indexOf(image)), "Content-Type: "+typeIndex)
		s.want(got, 201, "east; reason=failover")
		if !bytes.Equal(s.east.manifests[oci.Digest(image)], image) || s.begunAgain(whyCommitted) != 3 {
			t.Errorf("%v are put again, and the image is %s", s.begunAgain(whyCommitted), s.east.manifests[oci.Digest(image)])
		}
	})
	lost := func(s *shelves, line string, headers ...string) {
		s.t.Helper()
		if got := s.do(line, bytes.NewReader(image), headers...); got.err == nil {
			s.t.Errorf("no broken connection: %v", got)
		}
		if len(s.east.manifests) > 0 {
			s.t.Error("the manifest is there")
		}
	}
	t.Run("not into another repository", func(t *testing.T) {
		lost(pushed(t, nil), "PUT /v2/other/manifests/v1")
	})
	t.Run("not for another client", func(t *testing.T) {
		s := pushed(t, func(c *rigConfig) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
		lost(s, "PUT /v2/app/manifests/v1", "X-Forwarded-For: 192.0.2.7")
	})
	t.Run("not without memory", func(t *testing.T) {
		lost(pushed(t, func(c *rigConfig) { c.Memory.Kept = 999 }), "PUT /v2/app/manifests/v1")
	})
	t.Run("not what was deleted meanwhile", func(t *testing.T) {
		s := pushed(t, nil)
		gone := ledger.Reference{Repository: "app", Name: oci.Digest([]byte(layer)), Blob: true}
		s.proxy.Ledger.(*memoryLedger).of[gone] = ledger.Entry{Deleted: true}
		s.want(put(s, "PUT /v2/app/manifests/v1"), 400, "east; reason=scattered")
		if s.east.blob(gone.Name) != nil {
			t.Error("it is there again")
		}
	})
	t.Run("not after as long as a lease lives", func(t *testing.T) {
		s := pushed(t, func(c *rigConfig) { c.LeaseIdle = time.Minute })
		s.proxy.cache.life.set(0)
		lost(s, "PUT /v2/app/manifests/v1")
	})
}

// TestCachedIsVerified: what is put from memory is committed only if it is what its digest says.
func TestCachedIsVerified(t *testing.T) {
	s := newShelves(t, nil)
	config := oci.Digest([]byte("config"))
	k := pushKey{addrOf("127.0.0.1:1"), "app"}
	s.proxy.cache.put(contentName(k, config), []byte("damage"), time.Now())
	s.set("east", down)
	got := s.do("PUT /v2/app/manifests/v1", bytes.NewReader(imageOf("config")), "Content-Type: "+typeImage)
	if got.status == http.StatusCreated || s.west.blob(config) != nil {
		t.Errorf("%v", got)
	}
}
