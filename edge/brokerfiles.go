package edge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"estate/edge/internal/broker"
	"estate/edge/internal/local"
	"estate/internal/problem"
)

// The files for a mosquitto that serves the building in place of the embedded broker.
const (
	filePasswords = "passwords"
	fileRights    = "rights"
	fileConf      = "mosquitto.conf"
	folderStore   = "store"
	// ownLogin is the edge's own at that mosquitto, and fileOwnSecret in the data folder its secret.
	ownLogin      = "estate-edge"
	fileOwnSecret = "mosquitto.password" //nolint:gosec // the name of a file
	// mosquittoAccount is what mosquitto runs as where root starts it.
	mosquittoAccount = "mosquitto"
	// ownSecretBytes is 256 bits: no guessing.
	ownSecretBytes = 32
	// secretFileMode keeps hashes and secrets from all but their owner.
	secretFileMode = 0o600
)

// BrokerLogins is what a mosquitto must know of a building's logins.
type BrokerLogins struct {
	List []broker.MosquittoLogin `json:"list"`
	// LeftOut are logins that get in at the embedded broker and not at this mosquitto, with the
	// reason.
	LeftOut []string `json:"left_out"`
	// Own is the box's own login, SecretFile where its secret is.
	Own        string `json:"own"`
	SecretFile string `json:"secret_file"`
}

// ExternalLogins lists the logins in mosquitto's form. A technician who left has none; nor has
// any where the box does not run and cannot tell.
func (e *Edge) ExternalLogins(ctx context.Context, _ struct{}) (BrokerLogins, error) {
	out := BrokerLogins{LeftOut: []string{}, Own: ownLogin}
	enrolment, err := e.local.Enrolment(ctx)
	if errors.Is(err, local.ErrNotEnrolled) {
		return out, problem.New(problem.NotEnrolled, "")
	}
	if err != nil {
		return out, err
	}
	topic, err := topicOf(ctx, e.store, enrolment.Building)
	if err != nil {
		return out, err
	}
	logins, err := e.local.Logins(ctx)
	if err != nil {
		return out, err
	}
	for _, l := range logins {
		one, why := e.external(ctx, l, topic)
		if why != "" {
			out.LeftOut = append(out.LeftOut, l.Username+": "+why)
			continue
		}
		out.List = append(out.List, one)
	}
	if out.SecretFile, err = filepath.Abs(e.path(fileOwnSecret)); err != nil {
		return out, fmt.Errorf("find the data folder: %w", err)
	}
	secret, err := ownSecret(out.SecretFile)
	if err != nil {
		return out, err
	}
	hash, err := broker.MosquittoHash(secret, rand.Reader)
	out.List = append(out.List, broker.MosquittoLogin{Username: ownLogin, Hash: hash, Rights: broker.EdgeRights()})
	return out, err
}

// external is a login in mosquitto's form, or why it has none.
func (e *Edge) external(ctx context.Context, l local.Login, topic string) (one broker.MosquittoLogin, why string) {
	if l.Mosquitto == "" {
		return one, "it was made by an earlier release; make it anew with estate-edge device add"
	}
	if !l.Person.IsZero() {
		d := e.mqtt.Load()
		switch {
		case d == nil:
			return one, "whether its owner works for the building is known only while the box runs"
		case !d.employs(ctx, l.Person):
			return one, "its owner does not work for the building any more"
		}
	}
	rights, err := e.grantOf(l, topic).Rights()
	if err != nil {
		return one, err.Error()
	}
	return broker.MosquittoLogin{Username: l.Username, Hash: l.Mosquitto, Rights: rights}, ""
}

// BrokerFilesInput says where files for a mosquitto go and what it listens on.
type BrokerFilesInput struct {
	Dir string
	// Listen is host:port of the mosquitto.
	Listen string
	// User is the account that it runs as, which gets the files. Where it is empty and root asks,
	// mosquitto's usual one.
	User string
}

// BrokerFiles is what was written, and what is to be done with it.
type BrokerFiles struct {
	Files   []string `json:"files"`
	Logins  int      `json:"logins"`
	LeftOut []string `json:"left_out"`
	Next    []string `json:"next"`
}

// BrokerFilesAt writes password file, access rights and a sample configuration for a mosquitto
// into a folder, with a login of the box's own, whose secret stays the same each time.
func BrokerFilesAt(ctx context.Context, cfg Config, now func() time.Time, in BrokerFilesInput) (BrokerFiles, error) {
	var out BrokerFiles
	logins, err := command(ctx, cfg, now, pathExternal, struct{}{}, (*Edge).ExternalLogins)
	if err != nil {
		return out, err
	}
	host, port, err := net.SplitHostPort(in.Listen)
	if err != nil {
		return out, fmt.Errorf("listen: %q is not host:port", in.Listen)
	}
	if _, err := user.Lookup(mosquittoAccount); in.User == "" && os.Getuid() == 0 && err == nil {
		in.User = mosquittoAccount
	}
	dir, err := filepath.Abs(in.Dir)
	if err != nil {
		return out, fmt.Errorf("find the folder: %w", err)
	}
	w, err := newOwned(dir, in.User)
	if err != nil {
		return out, err
	}
	passwords, rights, err := broker.MosquittoFiles(logins.List)
	if err != nil {
		return out, err
	}
	// Mosquitto started by root without an account in its file takes its usual one.
	conf := broker.MosquittoConf(broker.MosquittoPaths{Host: host, Port: port, User: in.User, Passwords: filepath.Join(dir, filePasswords), Rights: filepath.Join(dir, fileRights), Store: filepath.Join(dir, folderStore)})
	// The rights last: a login without rights reaches nothing, rights without a login let nobody in.
	for _, f := range []struct{ name, text string }{{fileConf, conf}, {filePasswords, passwords}, {fileRights, rights}} {
		if err := w.write(filepath.Join(dir, f.name), f.text); err != nil {
			return out, err
		}
		out.Files = append(out.Files, filepath.Join(dir, f.name))
	}
	out.Logins, out.LeftOut = len(logins.List), logins.LeftOut
	dial := net.JoinHostPort(host, port)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		dial = net.JoinHostPort("127.0.0.1", port)
	}
	out.Next = []string{
		"Start mosquitto with it: mosquitto -c " + filepath.Join(dir, fileConf) + ", or copy its lines into a file of your own.",
		"Let it read them anew after each run of this command: systemctl reload mosquitto, or kill -HUP its process.",
		fmt.Sprintf("Set broker_url to tcp://%s, broker_username to %s and broker_password_file to %s, and restart estate-edge.", dial, logins.Own, logins.SecretFile),
		"Run this command again after each estate-edge device add or remove, and when a technician leaves.",
		"What a mosquitto acknowledged it can lose when it is killed: durability is promised for the box's own broker only.",
	}
	return out, nil
}

// owned writes files of one owner.
type owned struct{ uid, gid int }

// newOwned makes the folders; the owner is name's account, ours where it is empty.
func newOwned(dir, name string) (owned, error) {
	w := owned{os.Getuid(), os.Getgid()}
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return w, fmt.Errorf("find the account that mosquitto runs as: %w", err)
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return w, fmt.Errorf("read the account that mosquitto runs as: %w", err)
		}
		w = owned{uid, gid}
	}
	for _, folder := range []string{dir, filepath.Join(dir, folderStore)} {
		err := os.Mkdir(folder, folderMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = w.give(folder)
		}
		if err != nil {
			return w, fmt.Errorf("make the folder: %w", err)
		}
	}
	return w, nil
}

func (w owned) give(path string) error {
	if w.uid == os.Getuid() && w.gid == os.Getgid() {
		return nil
	}
	return os.Chown(path, w.uid, w.gid)
}

// write puts a text in a file's place at once: who reads it finds the old one or the new one.
func (w owned) write(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(secretFileMode), w.give(f.Name()), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// ownSecret reads the box's own secret, or makes one. The file is ours, not mosquitto's.
func ownSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if secret := strings.TrimSpace(string(text)); err == nil && secret != "" {
		return secret, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the box's own secret: %w", err)
	}
	b := make([]byte, ownSecretBytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the box's own secret: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	return secret, owned{os.Getuid(), os.Getgid()}.write(path, secret+"\n")
}
