// Command build-image makes the OCI image of one program; see package image.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/charts/image"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "build-image: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var r image.Release
	var created int64
	out := flag.String("out", "", "directory for the layout, which is replaced")
	name := flag.String("program", "", "hawser-hub or hawser-agent")
	flag.StringVar(&r.Version, "version", "", "version, which becomes the tag")
	flag.StringVar(&r.Revision, "revision", "", "commit")
	flag.Int64Var(&created, "created", 0, "time that everything in the image bears, in seconds since 1970: the commit's (SOURCE_DATE_EPOCH)")
	flag.Parse()
	p, ok := image.Programs[*name]
	switch {
	case !ok:
		var names []string
		for n := range image.Programs {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("there is no image of %q; there are %s", *name, strings.Join(names, " and "))
	case *out == "":
		return fmt.Errorf("-out is missing")
	case flag.NArg() == 0:
		return fmt.Errorf("give the program's files, one for each architecture")
	}
	r.Created = time.Unix(created, 0).UTC()
	built, err := image.Write(ctx, *out, p, flag.Args(), r)
	if err != nil {
		return err
	}
	fmt.Printf("%s:%s  %s  %s  %.1f MB\n%s\n", p.Name, r.Version, built.Digest, strings.Join(built.Platforms, ","), float64(built.Compressed)/1e6, *out)
	return nil
}
