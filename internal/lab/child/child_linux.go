package child

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Attr makes a child the leader of its own process group, so that a Ctrl-C in
// the terminal reaches only the parent, and has the kernel send onParentDeath
// to it when the parent dies, so that nothing outlives a killed parent.
// credential may be nil: the parent's account.
func Attr(credential *syscall.Credential, onParentDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onParentDeath, Credential: credential}
}

// Alive says whether a process exists and has not ended; a zombie has.
func Alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// The state follows the command name, which may itself hold ')'.
	end := bytes.LastIndexByte(stat, ')')
	return end >= 0 && len(stat) > end+2 && stat[end+2] != 'Z' && stat[end+2] != 'X'
}

// WorkingIn lists the living processes whose working directory is dir:
// PostgreSQL and all its backends stay in their data directory.
func WorkingIn(dir string) []int {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	var pids []int
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || target != dir {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && Alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
