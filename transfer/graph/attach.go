package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// signatures are the suffixes of the tags under which cosign puts something beside an image.
var signatures = []string{".sig", ".att", ".sbom"}

// attachments copies what refers to any manifest that was copied, and what refers to that.
func (c *Copy) attachments(ctx context.Context) error {
	looked := map[string]bool{}
	for range manifest.MaxNesting {
		var subjects []string
		for _, digest := range c.manifests.Succeeded() {
			if !looked[digest] {
				looked[digest] = true
				subjects = append(subjects, digest)
			}
		}
		for _, subject := range subjects {
			if err := c.attached(ctx, subject); err != nil {
				return err
			}
		}
		if len(subjects) == 0 {
			return nil
		}
	}
	return nil
}

func (c *Copy) attached(ctx context.Context, subject string) error {
	if err := c.referrers(ctx, subject); err != nil {
		return err
	}
	for _, suffix := range signatures {
		tag := tagOf(subject) + suffix
		signature, _, _, err := c.from.Tagged(ctx, tag)
		if transfer.Missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		brought, err := c.bringManifest(ctx, signature, 0)
		if err == nil {
			err = c.putTag(ctx, tag, signature, brought)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tagOf returns the tag that stands for a digest (OCI distribution spec 1.1, "Referrers Tag Schema").
func tagOf(digest string) string {
	algorithm, hash, _ := strings.Cut(digest, ":")
	return algorithm + "-" + hash[:min(len(hash), 64)]
}

// referrers copies what the source lists, by its API, or by the tag schema where it has none, and has the target list
// it.
func (c *Copy) referrers(ctx context.Context, subject string) error {
	listed, err := c.from.Referrers(ctx, subject)
	if transfer.Passing(err) || ctx.Err() != nil {
		return err
	} // else it has no such list: registries have many ways to say so
	byTag, err := index(ctx, c.from, tagOf(subject))
	if err != nil {
		return err
	}
	for _, m := range byTag.Manifests {
		listed = append(listed, m.Digest)
	}
	slices.Sort(listed)
	var brought []content
	for _, digest := range slices.Compact(listed) {
		m, err := c.bringManifest(ctx, digest, 0)
		if transfer.Missing(err) && transfer.At(err) == c.from.Replica.Name {
			continue // it lists what it does not have
		}
		if err != nil {
			return err
		}
		brought = append(brought, m)
	}
	if len(brought) == 0 {
		return nil
	}
	return c.list(ctx, subject, brought)
}

// list has the target list referrers: by its API, or by the tag schema.
func (c *Copy) list(ctx context.Context, subject string, referrers []content) error {
	listed, err := c.to.Referrers(ctx, subject)
	if transfer.Passing(err) || ctx.Err() != nil {
		return err
	}
	if !slices.ContainsFunc(referrers, func(r content) bool { return !slices.Contains(listed, r.digest) }) {
		return nil
	}
	byTag, err := index(ctx, c.to, tagOf(subject))
	if err != nil {
		return err
	}
	before := len(byTag.Manifests)
	for _, r := range referrers {
		if !slices.ContainsFunc(byTag.Manifests, func(d descriptor) bool { return d.Digest == r.digest }) {
			byTag.Manifests = append(byTag.Manifests, described(r))
		}
	}
	if len(byTag.Manifests) == before {
		return nil
	}
	byTag.SchemaVersion, byTag.MediaType = 2, typeIndex
	body, err := json.Marshal(byTag)
	if err != nil {
		return err
	}
	return c.to.PutTag(ctx, tagOf(subject), oci.Digest(body), typeIndex, body)
}

const typeIndex = "application/vnd.oci.image.index.v1+json"

type indexDocument struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// index returns the index that a tag names; an empty one if there is no such tag, or the tag names something else.
func index(ctx context.Context, at transfer.Repository, tag string) (doc indexDocument, err error) {
	_, _, body, err := at.Tagged(ctx, tag)
	if transfer.Missing(err) {
		return doc, nil
	}
	if err != nil {
		return doc, err
	}
	var read indexDocument
	if json.Unmarshal(body, &read) == nil {
		doc = read
	}
	return doc, nil
}

// described returns the descriptor of a manifest for a list of referrers (OCI distribution spec 1.1, "Listing
// Referrers").
func described(m content) descriptor {
	var doc struct {
		ArtifactType string            `json:"artifactType"`
		Annotations  map[string]string `json:"annotations"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
	}
	_ = json.Unmarshal(m.body, &doc) // what cannot be read has neither
	return descriptor{
		MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.body)),
		ArtifactType: cmp.Or(doc.ArtifactType, doc.Config.MediaType), Annotations: doc.Annotations,
	}
}
