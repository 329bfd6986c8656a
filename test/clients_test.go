package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// client is a real registry client.
type client struct {
	name   string
	debian string // the program that has to be installed; "" for one that is built
	// ready prepares the client for a set of images and returns what pushes one of them.
	ready func(t testing.TB, images []image) pusher
}

func (c client) available() bool {
	_, err := exec.LookPath(c.debian)
	return c.debian == "" || err == nil
}

// pusher pushes one of the images it was made for to HOST/REPOSITORY:TAG in clear text, and returns the digest that
// the client says it pushed.
type pusher func(t testing.TB, img image, ref string) (digest string, err error)

func clients() []client {
	return []client{
		{"crane", "", craneClient},
		{"regctl", "", regctlClient},
		{"skopeo", "skopeo", skopeoClient},
		{"podman", "podman", podmanClient},
	}
}

func craneClient(t testing.TB, _ []image) pusher {
	return func(t testing.TB, img image, ref string) (string, error) { return img.digest, cranePush(t, img, ref) }
}

func cranePush(t testing.TB, img image, ref string) error {
	_, err := crane(t, "push", img.dir, ref)
	return err
}

// crane runs crane with no credentials of the user's.
func crane(t testing.TB, args ...string) (string, error) {
	out, err := command(t, noCredentials(t), built(t, craneProgram), append([]string{"--insecure"}, args...)...)
	return strings.TrimSpace(out), err
}

func noCredentials(t testing.TB) []string {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), "{}") // podman insists that it is there
	return []string{"HOME=" + dir, "DOCKER_CONFIG=" + dir, "REGISTRY_AUTH_FILE=", "REGCTL_CONFIG=" +
		filepath.Join(dir, "regctl.json")}
}

func regctlClient(t testing.TB, _ []image) pusher {
	return func(t testing.TB, img image, ref string) (string, error) {
		_, err := regctl(t, ref, "image", "copy", "ocidir://"+img.dir+":"+imageTag, ref)
		return img.digest, err
	}
}

// regctl runs regctl against the host of ref.
func regctl(t testing.TB, ref string, args ...string) (string, error) {
	host, _, _ := strings.Cut(ref, "/")
	return command(t, noCredentials(t), built(t, regctlProgram), append(args, "--host", "reg="+host+",tls=disabled")...)
}

func skopeoClient(t testing.TB, _ []image) pusher {
	skopeo := installed(t, "skopeo")
	return func(t testing.TB, img image, ref string) (string, error) {
		digest := filepath.Join(t.TempDir(), "digest")
		_, err := command(t, noCredentials(t), skopeo, "--insecure-policy", "copy", "--quiet", "--digestfile", digest,
			"--dest-tls-verify=false", "oci:"+img.dir+":"+imageTag, "docker://"+ref)
		return contentOf(digest), err
	}
}

// podmanClient takes the images into podman's own storage first; a push packs the layers anew.
func podmanClient(t testing.TB, images []image) pusher {
	podman, dir := installed(t, "podman"), t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	writeFile(t, policy, `{"default": [{"type": "insecureAcceptAnything"}]}`)
	global := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver",
		"vfs", "--events-backend", "none"}
	run := func(t testing.TB, args ...string) (string, error) {
		return command(t, noCredentials(t), podman, append(global[:len(global):len(global)], args...)...)
	}
	names := map[string]string{} // image id by layout
	for _, img := range images {
		id, err := run(t, "pull", "--quiet", "--signature-policy", policy, "oci:"+img.dir+":"+imageTag)
		must(t, err)
		names[img.dir] = strings.TrimSpace(id)
	}
	return func(t testing.TB, img image, ref string) (string, error) {
		digest := filepath.Join(t.TempDir(), "digest")
		_, err := run(t, "push", "--quiet", "--signature-policy", policy, "--tls-verify=false", "--digestfile", digest,
			names[img.dir], "docker://"+ref)
		return contentOf(digest), err
	}
}

// contentOf is a file's text, "" for one that the client did not write.
func contentOf(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
