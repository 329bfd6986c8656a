package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// newRegistry is an empty registry in memory, as a replica.
func newRegistry(name string) (transfer.Replica, func()) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	at, err := url.Parse(server.URL)
	if err != nil {
		panic(err) // of a server that has begun to listen
	}
	return transfer.Replica{Name: name, URL: at, Transport: http.DefaultTransport}, server.Close
}

func ExampleCopyBlob() {
	west, closeWest := newRegistry("west")
	defer closeWest()
	east, closeEast := newRegistry("east")
	defer closeEast()
	layer := []byte("a layer")
	digest := oci.Digest(layer)
	pushed, err := http.Post(west.URL.String()+"/v2/team/app/blobs/uploads/?digest="+digest, "", bytes.NewReader(layer))
	if err != nil {
		fmt.Println(err)
		return
	}
	pushed.Body.Close()

	ctx := context.Background()
	from, to := west.Repository("team/app"), east.Repository("copies/app")
	fmt.Println(to.HasBlob(ctx, digest))
	fmt.Println(transfer.CopyBlob(ctx, from, to, digest, int64(len(layer))))
	fmt.Println(to.HasBlob(ctx, digest))
	// Output:
	// false <nil>
	// <nil>
	// true <nil>
}

func ExampleRepository_PutTag() {
	west, closeWest := newRegistry("west")
	defer closeWest()
	index := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)

	ctx, at := context.Background(), west.Repository("team/app")
	fmt.Println(at.PutTag(ctx, "v1", oci.Digest(index), transfer.ManifestType(index), index))
	fmt.Println(at.Tags(ctx, 10))
	content, there, err := at.Look(ctx, "v1")
	fmt.Println(content.Digest == oci.Digest(index), content.MediaType, content.Size, there, err)
	// Output:
	// <nil>
	// [v1] true <nil>
	// true application/vnd.oci.image.index.v1+json 88 true <nil>
}
