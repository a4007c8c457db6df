import { copyFileSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vite";

const PAGE = resolve(import.meta.dirname, "../src/serein/serve/page");
const SWAGGER = [
  "swagger-ui-bundle.js",
  "swagger-ui-bundle.js.LICENSE.txt",
  "swagger-ui.css",
  "LICENSE",
  "NOTICE",
];

/** Put the files of the service's /docs beside the page. */
function swagger() {
  return {
    name: "swagger-ui",
    apply: "build",
    closeBundle() {
      const from = resolve(import.meta.dirname, "node_modules/swagger-ui-dist");
      mkdirSync(resolve(PAGE, "swagger"), { recursive: true });
      for (const file of SWAGGER) copyFileSync(resolve(from, file), resolve(PAGE, "swagger", file));
    },
  };
}

export default defineConfig({
  base: "/",
  plugins: [swagger()],
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox128", "safari17.5"], // they know light-dark()
    assetsInlineLimit: 0, // a data: address would be refused by the page's own policy
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/v1": { target: "http://127.0.0.1:8000", ws: true, changeOrigin: true } },
  },
  test: { include: ["test/**/*.test.ts"] },
});
