package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"estate/internal/lab/child"
)

// Binaries are the paths of the programs under test.
type Binaries struct {
	Edge, Cloud, Estate string
}

// BinariesIn names the programs in a folder and checks that they are there.
func BinariesIn(dir string) (Binaries, error) {
	found := Binaries{
		Edge:   filepath.Join(dir, "estate-edge"),
		Cloud:  filepath.Join(dir, "estate-cloud"),
		Estate: filepath.Join(dir, "estate"),
	}
	for _, path := range []string{found.Edge, found.Cloud, found.Estate} {
		if _, err := os.Stat(path); err != nil {
			return Binaries{}, fmt.Errorf("find the program (make build builds it): %w", err)
		}
	}
	return found, nil
}

// Build builds the programs into dir, from the module that holds the working
// directory.
func Build(ctx context.Context, dir string) (Binaries, error) {
	root, err := ModuleRoot(ctx)
	if err != nil {
		return Binaries{}, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "./cmd/...") //nolint:gosec // a folder of the caller's
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("build the programs: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return BinariesIn(dir)
}

// ModuleRoot is the folder of the go.mod that rules the working directory.
func ModuleRoot(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's folder: %w", err)
	}
	path := strings.TrimSpace(string(output))
	if !filepath.IsAbs(path) || path == os.DevNull {
		return "", fmt.Errorf("find the module's folder: not inside a module")
	}
	return filepath.Dir(path), nil
}

// FreePort picks a loopback TCP port that nobody listens on.
func FreePort(ctx context.Context) (int, error) { return child.FreePort(ctx) }

// ReservedPort is FreePort for a program that starts later, or more than once: nobody else who
// chooses a port here gets this one until release is called.
func ReservedPort(ctx context.Context) (port int, release func() error, err error) {
	for range reserveTriesMax {
		if port, err = child.FreePort(ctx); err != nil {
			return 0, nil, err
		}
		var held net.PacketConn
		if held, err = child.Reserve(ctx, port); err == nil {
			return port, held.Close, nil
		}
	}
	return 0, nil, err
}

// reserveTriesMax is far beyond the programs that one machine runs at once.
const reserveTriesMax = 100
