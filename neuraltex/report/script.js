"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const find = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  find("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  // ---- wipes: photo | A | B | error, one divider between every two strips -------------------------------------------
  const order = ["photo", "a", "b", "error"];
  const picker = (id) => find(id);
  const shown = () => order.filter((key) => document.querySelector(`[data-layer="${key}"]`)?.ariaPressed === "true");
  const chosen = (key) => picker(`pick-${key}`)?.value;

  class Wipe {
    constructor(view) {
      this.view = view;
      this.images = new Map([...view.querySelectorAll(".pictures figure")].map((figure) => [
        figure.dataset.kind === "photo" ? "photo" : `m:${figure.dataset.name}`, figure]));
      this.box = document.createElement("div");
      this.box.className = "wipe";
      this.bar = document.createElement("div");
      this.bar.className = "bar";
      view.querySelector(".pictures").before(this.box, this.bar);
      this.box.addEventListener("pointerdown", (event) => this.drag(event));
      this.cuts = [];
      this.visible = false;
    }
    source(key) {
      return this.images.get(key === "photo" ? "photo" : `m:${chosen(key)}`)?.querySelector("img");
    }
    build() {
      this.keys = shown();
      this.box.replaceChildren();
      this.layers = this.keys.map((key) => this.layer(key));
      this.tags = this.keys.map((key) => this.tag(key));
      if (this.cuts.length !== this.keys.length - 1)
        this.cuts = this.keys.slice(1).map((_, index) => (100 * (index + 1)) / this.keys.length);
      this.dividers = this.cuts.map((_, index) => this.divider(index));
      this.box.append(...this.layers, ...this.veil(), ...this.tags, ...this.dividers);
      this.bar.replaceChildren(...["a", "b"].filter((key) => chosen(key)).map((key) => this.caption(key)), this.enlarge());
      this.place();
      this.paint();
    }
    layer(key) {
      const source = key === "error" ? null : this.source(key);
      const layer = document.createElement(source ? "img" : "canvas");
      layer.className = "layer";
      if (source) { layer.src = source.src; layer.alt = source.alt; layer.draggable = false; }
      return layer;
    }
    tag(key) {
      const tag = document.createElement("span");
      tag.className = "tag";
      const kind = picker("error-kind").selectedOptions[0].textContent;
      tag.textContent = key === "photo" ? "Photograph" : key === "error" ? kind : `${key.toUpperCase()}: ${chosen(key)}`;
      return tag;
    }
    veil() {
      if (!find("veil").checked) return [];
      const veil = document.createElement("img");
      veil.className = "veil"; veil.alt = ""; veil.src = this.view.dataset.veil;
      return [veil];
    }
    caption(key) {
      const span = document.createElement("span"), name = document.createElement("b");
      name.textContent = `${key.toUpperCase()} ${chosen(key)} `;
      span.append(name, this.images.get(`m:${chosen(key)}`)?.querySelector("figcaption span").textContent ?? "");
      return span;
    }
    enlarge() {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = "Full screen";
      button.addEventListener("click", () => this.box.requestFullscreen?.());
      return button;
    }
    divider(index) {
      const handle = document.createElement("button");
      handle.type = "button"; handle.className = "divider"; handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", `Divider between ${this.tags[index].textContent} and ${this.tags[index + 1].textContent}`);
      handle.setAttribute("aria-valuemin", "0"); handle.setAttribute("aria-valuemax", "100");
      handle.addEventListener("keydown", (event) => {
        const step = event.shiftKey ? 10 : 2;
        const to = { ArrowLeft: this.cuts[index] - step, ArrowRight: this.cuts[index] + step, Home: 0, End: 100 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.move(index, to);
      });
      return handle;
    }
    drag(event) {
      if (event.button !== 0 || !this.cuts.length) return;
      const bounds = this.box.getBoundingClientRect();
      const at = (e) => (100 * (e.clientX - bounds.left)) / bounds.width;
      const start = at(event);
      let index = this.dividers.indexOf(event.target);
      if (index < 0) index = this.cuts.reduce((best, cut, i) => Math.abs(cut - start) < Math.abs(this.cuts[best] - start) ? i : best, 0);
      const follow = (e) => this.move(index, at(e));
      const stop = () => { removeEventListener("pointermove", follow); removeEventListener("pointerup", stop); removeEventListener("pointercancel", stop); };
      addEventListener("pointermove", follow); addEventListener("pointerup", stop); addEventListener("pointercancel", stop);
      follow(event);
      this.dividers[index].focus({ preventScroll: true });
      event.preventDefault();
    }
    move(index, to) {
      this.cuts[index] = clamp(to, 0, 100);
      this.cuts = this.cuts.map((cut, i) => i < index ? Math.min(cut, this.cuts[index]) : Math.max(cut, i > index ? this.cuts[index] : cut));
      this.place();
    }
    place() {
      const edges = [0, ...this.cuts, 100];
      this.layers.forEach((layer, i) => { layer.style.clipPath = `inset(0 ${100 - edges[i + 1]}% 0 ${edges[i]}%)`; });
      this.tags.forEach((tag, i) => {
        const width = edges[i + 1] - edges[i];
        tag.style.left = `${(edges[i] + edges[i + 1]) / 2}%`;
        tag.style.maxWidth = `${Math.max(width - 2, 0)}%`;
        tag.hidden = width < 7;
      });
      this.dividers.forEach((handle, i) => {
        handle.style.left = `${this.cuts[i]}%`;
        handle.setAttribute("aria-valuenow", Math.round(this.cuts[i]));
      });
    }
    async paint() {
      const canvas = this.layers[this.keys.indexOf("error")];
      if (!canvas || !this.visible) return;
      const kind = picker("error-kind").value, gain = Number(picker("error-gain").value);
      const veil = document.createElement("img");
      veil.src = this.view.dataset.veil;
      const [photo, a, b] = await Promise.all(["photo", "a", "b"].map((key) => this.pixels(this.source(key))));
      if (!photo || !a) return;
      canvas.width = photo.width; canvas.height = photo.height;
      const context = canvas.getContext("2d"), out = context.createImageData(photo.width, photo.height);
      const fill = kind === "closer" && b ? closer : sequential;
      fill(out.data, photo.data, (kind === "b" && b ? b : a).data, b?.data, gain);
      context.putImageData(out, 0, 0);
      await veil.decode();
      context.drawImage(veil, 0, 0, canvas.width, canvas.height);  // what is not scored has no error: black
    }
    async pixels(image) {
      if (!image) return null;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    }
  }

  // Black, purple, red, orange, pale yellow: even steps in lightness, readable without color vision.
  const anchors = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
  const palette = Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (anchors.length - 1), low = Math.min(Math.floor(at), anchors.length - 2), t = at - low;
    return anchors[low].map((value, channel) => value + t * (anchors[low + 1][channel] - value));
  });
  const difference = (x, y, i) => (Math.abs(x[i] - y[i]) + Math.abs(x[i + 1] - y[i + 1]) + Math.abs(x[i + 2] - y[i + 2])) / 3;

  function sequential(out, photo, render, _, gain) {
    for (let i = 0; i < out.length; i += 4) {
      const color = palette[Math.min(255, Math.round(difference(photo, render, i) * gain))];
      out[i] = color[0]; out[i + 1] = color[1]; out[i + 2] = color[2]; out[i + 3] = 255;
    }
  }
  // Blue where A is closer to the photograph, orange where B is, grey where they tie.
  function closer(out, photo, a, b, gain) {
    for (let i = 0; i < out.length; i += 4) {
      const lead = clamp(((difference(photo, b, i) - difference(photo, a, i)) * gain) / 128, -1, 1), t = Math.abs(lead);
      const target = lead > 0 ? [40, 130, 230] : [245, 130, 30];
      for (let c = 0; c < 3; c++) out[i + c] = 40 + t * (target[c] - 40);
      out[i + 3] = 255;
    }
  }

  const form = document.querySelector(".controls");
  if (form) {
    const wipes = [...document.querySelectorAll(".view")].map((view) => new Wipe(view));
    const rebuild = () => wipes.forEach((wipe) => wipe.build());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", rebuild);
    form.querySelectorAll("[data-layer]").forEach((button) => button.addEventListener("click", () => {
      const on = button.ariaPressed === "true";
      if (on && shown().length === 1) return;
      button.ariaPressed = String(!on);
      rebuild();
    }));
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      const wipe = wipes.find((item) => item.box === entry.target);
      wipe.visible = wipe.visible || entry.isIntersecting;
      if (entry.isIntersecting) wipe.paint();
    }), { rootMargin: "300px" });
    rebuild();
    wipes.forEach((wipe) => seen.observe(wipe.box));
  }

  // ---- enlarged pictures: wheel or + and - to zoom, drag or arrow keys to move --------------------------------------
  const dialog = find("zoom"), canvas = dialog.querySelector(".canvas"), big = dialog.querySelector("img");
  let scale = 1, x = 0, y = 0;
  const apply = () => { big.style.transform = `translate(${x}px,${y}px) scale(${scale})`; };
  const zoom = (factor, cx, cy) => {
    const next = clamp(scale * factor, 1, 24), ratio = next / scale;
    x = cx - ratio * (cx - x); y = cy - ratio * (cy - y); scale = next;
    if (scale === 1) x = y = 0;
    big.style.imageRendering = scale > 4 ? "pixelated" : "auto";
    apply();
  };
  document.querySelectorAll(".zoomable").forEach((button) => button.addEventListener("click", () => {
    const image = button.querySelector("img");
    big.src = image.src; big.alt = image.alt; scale = 1; x = y = 0; apply(); dialog.showModal();
  }));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (moves) { x += moves[0]; y += moves[1]; apply(); event.preventDefault(); }
    if ("+-=".includes(event.key)) zoom(event.key === "-" ? 1 / 1.4 : 1.4, canvas.clientWidth / 2, canvas.clientHeight / 2);
  });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const from = [event.clientX - x, event.clientY - y];
    canvas.onpointermove = (move) => { x = move.clientX - from[0]; y = move.clientY - from[1]; apply(); };
    canvas.onpointerup = canvas.onpointercancel = () => { canvas.onpointermove = null; };
  });
})();
