package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs what the README tells people to run, line by line, and compares what it says that is printed.
func TestReadme(t *testing.T) {
	text := contentOf("../README.md")
	blocks := fenced(text, "sh")
	if len(blocks) < 5 || len(blocks[0]) != 1 || blocks[0][0] != "make demo" || blocks[1][0] != "make test" {
		t.Fatalf("the README's first two commands are not make demo and make test: %q", blocks)
	}
	skipUnlessDemoPortsAreFree(t)
	for _, name := range []string{"dig", "curl"} {
		installed(t, name)
	}
	root, err := filepath.Abs("..")
	must(t, err)
	demo := start(t, "make demo", nil, "make", "-C", root, "demo")
	waitForDemo(t, demo)
	// `make test` is what runs this test; that it exists is all that can be asked here.
	if _, err := command(t, nil, "make", "-C", root, "-n", "test"); err != nil {
		t.Error(err)
	}
	tools := t.TempDir()
	link(t, built(t, craneProgram), filepath.Join(tools, "crane"))
	env := append(noCredentials(t), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, block := range blocks[2:] {
		runBlock(t, env, root, block)
	}
}

// runBlock runs each line as it stands there; `# prints X` is about the line before it.
func runBlock(t *testing.T, env []string, dir string, lines []string) {
	printed := ""
	for _, line := range lines {
		if want, about := strings.CutPrefix(line, "# prints "); about {
			if !strings.Contains(printed, want) {
				t.Errorf("it is said to print %q:\n%s", want, printed)
			}
			continue
		}
		var err error
		if printed, err = command(t, env, "sh", "-c", "cd '"+dir+"' && "+line); err != nil {
			t.Error(err)
		}
		t.Logf("$ %s\n%s", line, printed)
	}
}

// TestReadmeFiles checks the files that the README shows.
func TestReadmeFiles(t *testing.T) {
	t.Parallel()
	blocks := fenced(contentOf("../README.md"), "yaml")
	if len(blocks) == 0 {
		t.Fatal("the README shows no file")
	}
	for _, block := range blocks {
		file := filepath.Join(t.TempDir(), "fairlead.yaml")
		writeFile(t, file, strings.Join(block, "\n"))
		if out, code := fairlead(t, "check", file); code != 0 {
			t.Errorf("%s", out)
		}
	}
}

// fenced returns the lines of each ```LANGUAGE block.
func fenced(text, language string) [][]string {
	var blocks [][]string
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "```"+language:
			inside = true
			blocks = append(blocks, nil)
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside:
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], line)
		}
	}
	return blocks
}
