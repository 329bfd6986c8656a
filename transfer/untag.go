package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// DeleteTag deletes a tag (OCI distribution spec 1.1, end-9). It succeeds if there is nothing to delete. Some
// registries delete by digest alone, as distribution 2 does: there the tag is moved to a manifest that was made for it,
// which is then deleted by its digest, so that what the tag named stays. Before that, may is asked, twice, whether the
// tag may go with the digest that it names.
func (r Repository) DeleteTag(ctx context.Context, tag string, may func(digest string) error) error {
	if !oci.IsTag(tag) {
		return ErrTag
	}
	p := r.peer()
	err := p.delete(ctx, "manifests/"+tag)
	if err == nil || !byDigestAlone(err) {
		return err
	}
	return p.untag(ctx, tag, may, err)
}

// byDigestAlone reports whether an error is what registries say that delete no tags: that the tag is a malformed or
// unknown digest, or that they do not support it.
func byDigestAlone(err error) bool {
	return slices.ContainsFunc([]int{
		http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented,
	}, func(status int) bool { return hasStatus(err, status) })
}

// untag first checks that the stand-in can be deleted: a tag that is moved to one that cannot would name it for good.
// If the tag names the stand-in already, an earlier try broke off.
func (p *peer) untag(ctx context.Context, tag string, may func(digest string) error, refused error) error {
	now, there, err := p.look(ctx, tag)
	if err != nil || !there {
		return err
	}
	s := standInFor(tag, now.MediaType)
	if now.Digest != s.digest {
		if err := may(now.Digest); err != nil {
			return err
		}
		if err := p.putBlob(ctx, s.configDigest, s.config); err != nil {
			return err
		}
		// Nothing names it any more. Where this fails the registry's sweep does it.
		defer func() { _ = p.delete(ctx, "blobs/"+s.configDigest) }()
		if err := p.putManifest(ctx, s.digest, s.digest, s.mediaType, s.manifest); err != nil {
			return err
		}
		if p.delete(ctx, "manifests/"+s.digest) != nil {
			return refused
		}
		if there, err := p.stillMay(ctx, tag, may); err != nil || !there {
			return err
		}
		if err := p.putManifest(ctx, tag, s.digest, s.mediaType, s.manifest); err != nil {
			return err
		}
	}
	if err := p.delete(ctx, "manifests/"+s.digest); err != nil {
		return err
	}
	if there, err := p.exists(ctx, "manifests/"+tag); err == nil && there {
		return &Error{Replica: p.Name, Method: http.MethodDelete, Err: errKept}
	}
	return nil
}

// stillMay asks again right before the tag is put: it took some requests to come so far, and the tag may have been
// pushed meanwhile.
func (p *peer) stillMay(ctx context.Context, tag string, may func(digest string) error) (there bool, err error) {
	now, there, err := p.look(ctx, tag)
	if err != nil || !there {
		return false, err
	}
	return true, may(now.Digest)
}

// putBlob stores a small blob, unless it is there.
func (p *peer) putBlob(ctx context.Context, digest string, content []byte) error {
	if there, err := p.has(ctx, "blobs", digest); there || err != nil {
		return err
	}
	s, there, err := begin(ctx, p, digest, &sending{})
	if there || err != nil {
		return err
	}
	response, err := p.send(ctx, call{
		method: http.MethodPut, at: s.commitAt(), header: http.Header{"Content-Type": {"application/octet-stream"}},
		body: bytes.NewReader(content), length: int64(len(content)),
	})
	if err != nil {
		s.abandon(ctx)
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		s.abandon(ctx)
		return p.refused(response, nil)
	}
	response.Body.Close()
	return nil
}

// standIn is a complete image for a tag to name until it is deleted. It is the same for every try with one tag, so that
// a second try recognizes the first one's.
type standIn struct {
	config, manifest                []byte
	configDigest, digest, mediaType string
}

// labelDeletes is the label of an image that was pushed to be deleted with its tag. regctl uses it, too.
const labelDeletes = "delete-tag"

type runConfig struct {
	Labels map[string]string `json:",omitempty"`
}

type imageConfig struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       runConfig `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// standInFor makes a stand-in. It has Docker's types if the tagged image has, since older registries take no others.
// Its config is its layer as well, since registries want one, and it is a blob that nobody else has.
func standInFor(tag, like string) standIn {
	config := imageConfig{Architecture: "amd64", OS: "linux", Config: runConfig{map[string]string{labelDeletes: tag}}}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{}
	s := standIn{config: asJSON(config), mediaType: "application/vnd.oci.image.manifest.v1+json"}
	configType, layerType := "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
	if strings.HasPrefix(like, "application/vnd.docker.") {
		s.mediaType = "application/vnd.docker.distribution.manifest.v2+json"
		configType = "application/vnd.docker.container.image.v1+json"
		layerType = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	s.configDigest = oci.Digest(s.config)
	s.manifest = asJSON(struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, s.mediaType, descriptor{configType, s.configDigest, len(s.config)},
		[]descriptor{{layerType, s.configDigest, len(s.config)}}})
	s.digest = oci.Digest(s.manifest)
	return s
}

func asJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // only for types that JSON does not have
	}
	return out
}

// Bounds, in bytes, of an image that is taken to stand for a tag's deletion. One that somebody runs has more of either.
const (
	minStandInConfig = 100
	maxStandInConfig = 4 << 10
	maxStandInLayer  = 1 << 10
)

// StandsForDeletion reports whether a manifest that a client has put under a tag is there only to be deleted with it.
// For registries that delete by digest alone, a client (regctl) moves the tag to an image without content, whose config
// says so, and deletes that.
func (r Repository) StandsForDeletion(ctx context.Context, tag string, manifest []byte) bool {
	var m struct {
		Config  descriptor
		Layers  []descriptor
		Subject *descriptor
	}
	if json.Unmarshal(manifest, &m) != nil || m.Subject != nil || len(m.Layers) > 1 ||
		m.Config.Size < minStandInConfig || m.Config.Size > maxStandInConfig ||
		len(m.Layers) == 1 && m.Layers[0].Size > maxStandInLayer {
		return false
	}
	config, err := r.peer().small(ctx, m.Config.Digest)
	var c imageConfig
	return err == nil && json.Unmarshal(config, &c) == nil && tag != "" && c.Config.Labels[labelDeletes] == tag
}

// small gets a blob of maxStandInConfig at most.
func (p *peer) small(ctx context.Context, digest string) ([]byte, error) {
	if !oci.IsDigest(digest) {
		return nil, oci.ErrDigest
	}
	response, err := p.fetch(ctx, http.MethodGet, "blobs/"+digest, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, p.refused(response, nil)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxStandInConfig+1))
	if err != nil {
		return nil, err
	}
	return content, verifies(content, digest)
}
