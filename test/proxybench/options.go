package main

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"time"
)

type options struct {
	fairlead []string // paths
	backend  string   // cheap or distribution
	limits   string   // of a second gateway of each build
	cases    *regexp.Regexp
	rounds   int
	blobMiB  int
	mib      int
	streams  int
	requests int

	profiles string // a folder
	source   string // a folder, of what is profiled

	memory    bool
	uploads   int
	uploadMiB int

	dns  bool
	rate int // queries a second

	time   time.Duration // of -memory and -dns
	secure bool          // in -memory and -dns
}

func parse(args []string) (options, error) {
	o := options{fairlead: []string{"../bin/fairlead"}}
	f := flag.NewFlagSet("proxybench", flag.ExitOnError)
	f.Func("fairlead", "paths of one or more builds of fairlead, comma-separated, from the folder test on",
		func(s string) error { o.fairlead = strings.Split(s, ","); return nil })
	f.StringVar(&o.limits, "limits", "", "each build once more, with these proxy.limits, as in 'resume: 0s'")
	cases := f.String("cases", "", "a regular expression; only cases whose name it matches, as in '^TLS|HEAD'")
	f.StringVar(&o.backend, "backend", "cheap", "cheap: throws away what is pushed; distribution: a real registry")
	f.IntVar(&o.rounds, "rounds", 5, "how often all is measured")
	f.IntVar(&o.blobMiB, "blob", 64, "size of a blob, MiB")
	f.IntVar(&o.mib, "mib", 512, "MiB that one measurement moves")
	f.IntVar(&o.streams, "streams", 4, "connections that move blobs, at once")
	f.IntVar(&o.requests, "requests", 10_000, "small requests of one measurement")
	f.StringVar(&o.profiles, "profile", "", "a folder for CPU profiles of fairlead, which is built for it from -source")
	f.StringVar(&o.source, "source", "..", "the folder of fairlead's go.mod")
	f.BoolVar(&o.memory, "memory", false, "instead of the cases: what paced uploads at once have fairlead hold")
	f.IntVar(&o.uploads, "uploads", 500, "of -memory: how many")
	f.IntVar(&o.uploadMiB, "upload", 64, "of -memory: size of each, MiB")
	f.BoolVar(&o.dns, "dns", false, "instead of the cases: whether DNS answers in time beside pulls")
	f.IntVar(&o.rate, "rate", 2000, "of -dns: queries a second")
	f.DurationVar(&o.time, "time", 2*time.Minute, "how long the uploads of -memory take, and the queries of -dns")
	f.BoolVar(&o.secure, "tls", false, "-memory and -dns in TLS")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for name, n := range map[string]int{"rounds": o.rounds, "blob": o.blobMiB, "mib": o.mib, "streams": o.streams,
		"requests": o.requests, "uploads": o.uploads, "upload": o.uploadMiB, "rate": o.rate} {
		if n < 1 {
			return o, fmt.Errorf("-%s: %d is not a positive number", name, n)
		}
	}
	if o.backend != "cheap" && o.backend != "distribution" {
		return o, fmt.Errorf("-backend: there is no %q", o.backend)
	}
	var err error
	o.cases, err = regexp.Compile(*cases)
	return o, err
}
