package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"sync"
	"time"
)

// renewed gives a certificate of the box's own authority, and a new one when the box has another
// address or the old one is about to end.
type renewed struct {
	authority authority
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	names   []string
}

func (r *renewed) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names, ips := addresses()
	all := slices.Clone(names)
	for _, ip := range ips {
		all = append(all, ip.String())
	}
	now := r.now()
	if r.current != nil && slices.Equal(all, r.names) && now.Before(r.current.Leaf.NotAfter.Add(-renewBefore)) {
		return r.current, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: names[len(names)-1]}, DNSNames: names, IPAddresses: ips, NotBefore: notBefore(), NotAfter: now.AddDate(0, 0, certificateDays),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := sign(template, r.authority.certificate, key, r.authority.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate back: %w", err)
	}
	r.current, r.names = &tls.Certificate{Certificate: [][]byte{der, r.authority.certificate.Raw}, PrivateKey: key, Leaf: leaf}, all
	return r.current, nil
}
