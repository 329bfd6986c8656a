// Command geo-table makes the table of places that is built into fairlead, of geo databases.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/fairlead-gateway/fairlead/geo/mmdb"
	"github.com/fairlead-gateway/fairlead/geo/world"
)

func main() {
	out := flag.String("out", "geo/world/table.bin", "the file to write")
	name := flag.String("name", "", "what the table is called; empty: the databases' own type")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "geo-table [--out FILE] [--name NAME] DATABASE.mmdb...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := build(os.Stdout, *out, *name, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "geo-table:", err)
		os.Exit(1)
	}
}

// bits4: what resolvers say of a client ends there (RFC 7871, section 11.1), and a longer table would be twice as
// large.
const bits4 = 24

func build(log io.Writer, out, name string, databases []string) error {
	t, report, err := mmdb.Load(bits4, databases...)
	if err != nil {
		return err
	}
	if name != "" {
		t.Name = name
	}
	data := world.Pack(t)
	fmt.Fprintf(log, "%s of %s: %s\n%d places, %d bytes\n", t.Name, t.Built.Format("2006-01-02"), report, t.Cells(),
		len(data))
	return os.WriteFile(out, data, 0o644) //nolint:gosec // it is no secret
}
