//go:build !linux

package child

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// psTimeout bounds one look at the process table.
const psTimeout = 5 * time.Second

// Attr makes a child the leader of its own process group. Systems other than
// Linux cannot tie its life to the parent's; a later start ends the leftover.
func Attr(credential *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}

// Alive says whether a process exists and has not ended; a zombie has.
func Alive(pid int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	state, err := exec.CommandContext(ctx, "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	text := strings.TrimSpace(string(state))
	return err == nil && text != "" && !strings.HasPrefix(text, "Z")
}

// WorkingIn cannot be known cheaply here; the caller falls back on pid files.
func WorkingIn(string) []int { return nil }
