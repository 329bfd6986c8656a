package test

import (
	"errors"
	"fmt"
	"slices"
)

var errNotFound = errors.New("not found")

// held says which registries have an image's manifest, and what each of those lacks of it. The registries are asked
// directly, without any gateway.
type held struct {
	owners  []string // names of registries
	missing []string
}

func whereIs(registries []*registry, repository, reference string) (held, error) {
	var h held
	for _, r := range registries {
		missing, err := lacks(r, repository, reference)
		switch {
		case errors.Is(err, errNotFound):
			continue
		case err != nil:
			return h, fmt.Errorf("%s: %w", r.name, err)
		}
		h.owners = append(h.owners, r.name)
		h.missing = append(h.missing, missing...)
	}
	slices.Sort(h.owners)
	return h, nil
}

// lacks names the blobs and children of a manifest that the registry with the manifest does not have. An error that
// is errNotFound means that it does not have the manifest.
func lacks(r *registry, repository, reference string) (missing []string, err error) {
	_, doc, err := getManifest(r.url(), repository, reference)
	if err != nil {
		return nil, err
	}
	for _, child := range doc.Manifests {
		below, err := lacks(r, repository, child.Digest)
		missing = append(missing, below...)
		if missing, err = note(missing, r, child, err); err != nil {
			return nil, err
		}
	}
	for _, blob := range doc.blobs() {
		if missing, err = note(missing, r, blob, getBlob(r.url(), repository, blob)); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func note(missing []string, r *registry, what descriptor, err error) ([]string, error) {
	if errors.Is(err, errNotFound) {
		return append(missing, r.name+" lacks "+what.MediaType+" "+what.Digest), nil
	}
	return missing, err
}
