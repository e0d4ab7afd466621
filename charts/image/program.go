package image

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Program says what an image is for.
type Program struct {
	// Name of the program, which is the file's in the image and the layout's.
	Name string
	// Title and Description are for people, in the labels of the image.
	Title, Description string
	// Args are what the program is started with when nothing else is said.
	Args []string
	// Ports that it listens on, such as "8443/tcp".
	Ports []string
	// Lockfile of an npm project whose packages are part of the program; empty for none.
	Lockfile string
}

// Programs are those that there are images of, by their names.
var Programs = map[string]Program{
	"hawser-hub": {
		Name: "hawser-hub", Title: "Hawser hub", Description: "The hub of a Hawser fleet: API, console, repository server, gateway for agents",
		Args: []string{"serve"}, Ports: []string{"8443/tcp"}, Lockfile: "hub/console/package-lock.json",
	},
	"hawser-agent": {
		Name: "hawser-agent", Title: "Hawser agent", Description: "The agent of one cluster in a Hawser fleet",
		Args: []string{"run"},
	},
}

// Release is what all images of one build have in common.
type Release struct {
	// Version of the software, which becomes the tag.
	Version string
	// Revision is the commit, whole.
	Revision string
	// Created is the time that everything in the image bears: the commit's.
	Created time.Time
}

// binary is a program's file, and what it says of itself.
type binary struct {
	content  []byte
	info     *buildinfo.BuildInfo
	platform ocispec.Platform
}

// architectures by what the header of an ELF file calls them.
var architectures = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// readBinary reads a program that can run where there is nothing else: static, for
// Linux, on an architecture that there are images for.
func readBinary(file string) (binary, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return binary{}, err
	}
	f, err := elf.Open(file)
	if err != nil {
		return binary{}, fmt.Errorf("%s is no program for Linux: %w", path.Base(file), err)
	}
	defer f.Close()
	arch, ok := architectures[f.Machine]
	if !ok {
		return binary{}, fmt.Errorf("%s is for %v; images are made for amd64 and arm64", path.Base(file), f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return binary{}, fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", path.Base(file))
		}
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return binary{}, fmt.Errorf("%s does not say which modules it is made of: %w", path.Base(file), err)
	}
	return binary{content: content, info: info, platform: ocispec.Platform{OS: "linux", Architecture: arch}}, nil
}
