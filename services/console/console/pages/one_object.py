"""The page of one object of a service, and the actions on it."""

from dataclasses import dataclass
from typing import Any

from console.pages.answers import Answer, Done
from console.pages.lists import service_of
from console.pages.refusals import Show, acted
from console.pages.visit import Visit
from console.services.client import segment


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """`address` is that of the page and `operations` that of the API, both without the object's id, which is the
    parameter `id_name` of the path. `show` shows the page."""

    address: str
    operations: str
    id_name: str
    show: Show

    async def act(self, visit: Visit, action: str, message: str, body: dict[str, str] | None = None) -> Answer:
        """`POST` the action to the API. The page is shown again, with `message` or with what refused the action."""
        service, object_id = service_of(visit), segment(visit.path(self.id_name))

        def done(_: Any) -> Done:
            return Done(f"{self.address}/{service.name}/{object_id}", message)

        sent = service.send("POST", f"{self.operations}/{object_id}/{action}", body, key=visit.form.get("key"))
        return await acted(visit, sent, self.show, done, {"reason": visit.form.get("reason", "")})
