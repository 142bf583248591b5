package broker

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// mosquittoRounds is what mosquitto_passwd itself uses; the secrets that we make are random,
	// and no number of rounds would make them harder to guess.
	mosquittoRounds = 101
	mosquittoSalt   = 12
)

// MosquittoHash hashes a secret in the form of mosquitto's password file (PBKDF2 with SHA-512,
// since mosquitto 2.0).
func MosquittoHash(secret string, random io.Reader) (string, error) {
	salt := make([]byte, mosquittoSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	key, err := pbkdf2.Key(sha512.New, secret, salt, mosquittoRounds, sha512.Size)
	if err != nil {
		return "", fmt.Errorf("hash a secret: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("$7$%d$%s$%s", mosquittoRounds, encode(salt), encode(key)), nil
}

// MosquittoLogin is a line of mosquitto's password file and what it may reach.
type MosquittoLogin struct {
	Username, Hash string
	Rights         Rights
}

// MosquittoFiles writes the password file and the file of access rights for a mosquitto that
// serves the building in place of the embedded broker.
func MosquittoFiles(list []MosquittoLogin) (passwords, rights string, err error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b MosquittoLogin) int { return strings.Compare(a.Username, b.Username) })
	var words, topics strings.Builder
	topics.WriteString("# Written by estate-edge. Who is not named here reaches nothing.\n")
	for _, l := range list {
		if strings.ContainsAny(l.Username, ":\n\r") || strings.ContainsAny(l.Hash, ":\n\r") {
			return "", "", fmt.Errorf("login %q cannot be written to a password file", l.Username)
		}
		fmt.Fprintf(&words, "%s:%s\n", l.Username, l.Hash)
		fmt.Fprintf(&topics, "\nuser %s\n", l.Username)
		for _, f := range l.Rights.Publish {
			fmt.Fprintf(&topics, "topic write %s\n", f)
		}
		for _, f := range l.Rights.Subscribe {
			fmt.Fprintf(&topics, "topic read %s\n", f)
		}
	}
	return words.String(), topics.String(), nil
}
