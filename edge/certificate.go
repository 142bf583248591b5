package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"time"
)

const (
	fileAuthority    = "mqtt-ca.pem"
	fileAuthorityKey = "mqtt-ca.key"
	// authorityYears is longer than any device in the wall lives: to replace the authority means
	// to visit them all.
	authorityYears = 30
	// certificateDays is made anew at each start, and well before its end.
	certificateDays = 397
	renewBefore     = 30 * 24 * time.Hour
	serialBits      = 127
)

// notBefore lets devices in whose clock is slow: the box existed at no earlier time.
func notBefore() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }

// brokerTLS is what the broker shows to devices: the operator's certificate, or one of the box's
// own authority, which it makes at its first start.
func (e *Edge) brokerTLS() (*tls.Config, error) {
	if e.cfg.MQTTCertificate != "" {
		pair, err := tls.LoadX509KeyPair(e.cfg.MQTTCertificate, e.cfg.MQTTKey)
		if err != nil {
			return nil, fmt.Errorf("read the broker's certificate: %w", err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
	}
	authority, err := e.authority()
	if err != nil {
		return nil, err
	}
	leaf := &renewed{authority: authority, now: e.now}
	if _, err := leaf.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: leaf.get}, nil
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// authority reads the box's authority, or makes it. The key is written first: a certificate
// without its key would be of no use, a key without one is made anew.
func (e *Edge) authority() (authority, error) {
	text, err := os.ReadFile(e.path(fileAuthority))
	if err == nil {
		return e.readAuthority(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return authority{}, fmt.Errorf("read the broker's authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make the broker's authority: %w", err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "Smart Estate box " + e.key.ID().String()}, NotBefore: notBefore(), NotAfter: e.now().AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := sign(template, template, key, key)
	if err != nil {
		return authority{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return authority{}, fmt.Errorf("write the broker's authority: %w", err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
		mode       os.FileMode
	}{{fileAuthorityKey, "PRIVATE KEY", secret, 0o600}, {fileAuthority, "CERTIFICATE", der, 0o644}} {
		if err := writeWhole(e.path(f.name), pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), f.mode); err != nil {
			return authority{}, fmt.Errorf("write the broker's authority: %w", err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	return authority{certificate, key}, err
}

func (e *Edge) readAuthority(text []byte) (authority, error) {
	secret, err := os.ReadFile(e.path(fileAuthorityKey))
	if err != nil {
		return authority{}, fmt.Errorf("read the key of the broker's authority: %w", err)
	}
	block, _ := pem.Decode(text)
	hidden, _ := pem.Decode(secret)
	if block == nil || hidden == nil {
		return authority{}, fmt.Errorf("%s or %s is damaged: remove both for a new authority, which devices have to be told of", e.path(fileAuthority), e.path(fileAuthorityKey))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return authority{}, fmt.Errorf("read %s: %w", e.path(fileAuthority), err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(hidden.Bytes)
	if err != nil {
		return authority{}, fmt.Errorf("read %s: %w", e.path(fileAuthorityKey), err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return authority{}, fmt.Errorf("%s is not the key of %s", e.path(fileAuthorityKey), e.path(fileAuthority))
	}
	return authority{certificate, key}, nil
}

func sign(template, parent *x509.Certificate, of *ecdsa.PrivateKey, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &of.PublicKey, by)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// writeWhole writes a file so that it is there whole or not at all.
func writeWhole(path string, text []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// addresses are the names by which devices may reach this machine.
func addresses() (names []string, ips []net.IP) {
	names = []string{"localhost"}
	if host, err := os.Hostname(); err == nil && host != "localhost" {
		names = append(names, host, host+".local")
	}
	ips = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return names, ips
	}
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok && !slices.ContainsFunc(ips, n.IP.Equal) {
			ips = append(ips, n.IP)
		}
	}
	return names, ips
}
