package cloud

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"estate/cloud/internal/fleet"
	"estate/cloud/internal/pgstore"
	"estate/internal/auth"
	"estate/internal/dashboard"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

func (c *Cloud) build(ctx context.Context) error {
	k, err := loadKeys(ctx, c.people, rand.Reader)
	if err != nil {
		return err
	}
	table := schema.Default()
	c.node = &replica.Node{Key: k.node, Tier: record.TierCloud, Rules: table, Store: c.store, Boot: c.store.Boot, Random: rand.Reader,
		Now: func() int64 { return c.cfg.Now().UnixMilli() }, Schema: schema.Version, Trusted: c.trusted, Servers: c.servers}
	c.desk = desk.New(desk.Config{Node: c.node, Table: table, Query: pgstore.NewQueries(c.store, table.Kinds()), Readings: c.readings, Reachable: c.reachable, Now: c.cfg.Now, Random: rand.Reader, Log: c.cfg.Log})
	if c.words, err = auth.NewPasswords(auth.HashesAtOnceDefault, rand.Reader); err != nil {
		return fmt.Errorf("passwords: %w", err)
	}
	c.auth, err = auth.NewService(auth.Config{Signer: k.token, Keyring: k.ring, Passwords: c.words, Accounts: c.people, Sessions: c.people,
		Live: c.people, Now: c.cfg.Now, Random: rand.Reader, Log: c.cfg.Log})
	if err != nil {
		return fmt.Errorf("sign-in: %w", err)
	}
	c.jobs = newProjector(c.people, c.desk, c.cfg.Log)
	if err := c.buildLinks(k); err != nil {
		return err
	}
	if err := c.buildMedia(); err != nil {
		return err
	}
	if err := c.buildAPI(table); err != nil {
		return err
	}
	return c.bootstrap(ctx)
}

func (c *Cloud) buildAPI(table *schema.Table) error {
	var proxies []netip.Prefix
	for _, p := range c.cfg.TrustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Errorf("trusted proxies: %w", err)
		}
		proxies = append(proxies, prefix)
	}
	api, err := httpapi.New(httpapi.Config{Role: httpapi.Cloud, Version: c.cfg.Version, Desk: c.desk, Auth: c.auth, Node: c.node, Table: table,
		Operators: c.people.IsAdmin, Media: &httpapi.Media{Uploads: c.uploads, Blobs: c.blobs},
		Edges:    c.edges(),
		Notices:  c.fleet.Notices,
		Accounts: accounts{people: c.people, passwords: c.words, service: func() *auth.Service { return c.auth }, kick: c.jobs.Kick, now: c.cfg.Now},
		Sync:     c.syncRoutes(), Enrol: http.HandlerFunc(c.gate.ServeEnrol), Dashboard: dashboard.Files(), Ready: c.ready, Registerer: c.metrics,
		Limits: httpapi.Limits{Proxies: proxies, Origins: c.cfg.AllowedOrigins}, Log: c.cfg.Log, Now: c.cfg.Now, Random: rand.Reader})
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	c.api = api
	return nil
}

// syncRoutes is what nodes and phones reach below /sync/; each finds out who is calling.
func (c *Cloud) syncRoutes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+fleet.PathChallenge, c.gate.ServeChallenge)
	m.HandleFunc("POST "+fleet.PathSession, c.gate.ServeSession)
	m.Handle(synclink.PathSocket, c.links.Socket())
	m.Handle(synclink.PathExchange, c.links.Exchange())
	m.HandleFunc("POST "+httpapi.PathEdgeState, c.serveState)
	m.HandleFunc("POST "+pathNodeReadings, c.serveReadings)
	m.Handle(pathNodeMedia, c.uploads)
	m.HandleFunc("GET "+pathNodeBlobs+"{hash}", c.serveBlob)
	return m
}

func (c *Cloud) ready(ctx context.Context) error {
	if err := c.store.Pool().Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// bootstrap makes the first administrator where there is no account at all.
func (c *Cloud) bootstrap(ctx context.Context) error {
	if c.cfg.BootstrapAdminEmail == "" {
		return nil
	}
	some, err := c.people.Any(ctx)
	if err != nil || some {
		return err
	}
	text, err := os.ReadFile(c.cfg.BootstrapAdminPasswordFile)
	if err != nil {
		return fmt.Errorf("read the first administrator's password: %w", err)
	}
	id := record.DerivedID("bootstrap admin", c.cfg.BootstrapAdminEmail)
	_, err = accounts{people: c.people, passwords: c.words, now: c.cfg.Now}.CreateAccount(ctx, httpapi.NewAccount{ID: id, By: id,
		Name: "Administrator", Email: c.cfg.BootstrapAdminEmail, Password: auth.NewSecret(strings.TrimSpace(string(text))), Operator: true})
	if err != nil {
		return fmt.Errorf("make the first administrator: %w", err)
	}
	c.cfg.Log.InfoContext(ctx, "first administrator made", "email", c.cfg.BootstrapAdminEmail)
	return nil
}
